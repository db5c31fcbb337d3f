#include <nanobind/nanobind.h>

void bind_rasterize(nanobind::module_&) {}
