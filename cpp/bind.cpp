// The extension module hyperfocal._core. Only bind*.cpp know Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <functional>
#include <numeric>
#include <vector>

#include "buffer.h"
#include "isa.h"
#include "limit.h"
#include "parallel.h"

namespace nb = nanobind;

void bind_rasterize(nb::module_& m);  // bind_rasterize.cpp
void bind_loss(nb::module_& m);       // bind_loss.cpp
void bind_layers(nb::module_& m);     // bind_layers.cpp
void bind_stereo(nb::module_& m);     // bind_stereo.cpp

namespace {

using Tensor = nb::ndarray<nb::pytorch, float, nb::c_contig, nb::device::cpu>;

Tensor empty(const std::vector<size_t>& shape) {
    const size_t count = std::accumulate(shape.begin(), shape.end(), size_t(1), std::multiplies<size_t>());
    auto* memory = new hyperfocal::RawBuffer(count * sizeof(float));
    const nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<hyperfocal::RawBuffer*>(p); });
    return Tensor(memory->data(), shape.size(), shape.data(), owner);
}

// Every thread runs the kernel; returns what keeps the compiler from leaving it out.
double run_limit(float (*kernel)(int64_t), int threads, int64_t repeats) {
    std::vector<float> results(static_cast<size_t>(threads));
    hyperfocal::parallel_for(threads, threads, [&](int64_t i, int) { results[static_cast<size_t>(i)] = kernel(repeats); });
    return std::accumulate(results.begin(), results.end(), 0.0);
}

}  // namespace

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
    m.def("empty", &empty, nb::arg("shape"), "An uninitialised tensor in the core's kept memory (buffer.h).");
    m.def("limit_forward",
          [](int threads, int64_t repeats) {
              return run_limit(hyperfocal::limit_kernels_in_use().forward, threads, repeats);
          },
          nb::arg("threads"), nb::arg("repeats"), "4096 pairs, `repeats` times on every thread (limit.h).");
    m.def("limit_backward",
          [](int threads, int64_t repeats) {
              return run_limit(hyperfocal::limit_kernels_in_use().backward, threads, repeats);
          },
          nb::arg("threads"), nb::arg("repeats"), "4096 pairs, `repeats` times on every thread (limit.h).");
    bind_rasterize(m);
    bind_loss(m);
    bind_layers(m);
    bind_stereo(m);
}
