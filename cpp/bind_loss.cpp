#include <nanobind/nanobind.h>

void bind_loss(nanobind::module_&) {}
