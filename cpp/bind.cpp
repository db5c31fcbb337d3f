// The extension module hyperfocal._core. Only bind*.cpp know Python.
#include <nanobind/nanobind.h>

#include "buffer.h"
#include "isa.h"

namespace nb = nanobind;

void bind_rasterize(nb::module_& m);  // bind_rasterize.cpp
void bind_loss(nb::module_& m);       // bind_loss.cpp

NB_MODULE(_core, m) {
    // A rendering kept until the interpreter ends is no leak.
    nb::set_leak_warnings(false);
    m.doc() = "hyperfocal's native core. Use it through hyperfocal.native.";
    m.def("simd_level", [] { return hyperfocal::simd_level_name(hyperfocal::simd_level()); },
          "The instruction set in use: 'base', 'v3' (AVX2 and FMA) or 'v4' (AVX-512).");
    m.def("set_simd_level", &hyperfocal::set_simd_level, nb::arg("name"),
          "Chooses another instruction set, for tests. False if this build or processor does not have it.");
    m.def("release_memory", &hyperfocal::release_memory, nb::call_guard<nb::gil_scoped_release>(),
          "Gives the kept scratch memory back to the system. Returns how many bytes that were.");
    bind_rasterize(m);
    bind_loss(m);
}
