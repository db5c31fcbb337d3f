// Python's door to stereo.h. Shapes are checked in native/stereo.py, the only caller.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>

#include "stereo.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace hyperfocal;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Input = Array<const float>;
using Output = Array<float>;
using Bytes = Array<uint8_t>;

// sources: one after the other in a flat array; sizes [k, 2] are height and width, maps [k, 12] are map and shift.
StereoView view_of(const Input& grey, const Input& sources, const Array<const int32_t>& sizes, const Input& maps, int radius,
                   float noise_power) {
    StereoView view;
    view.grey = grey.data();
    view.height = int(grey.shape(0));
    view.width = int(grey.shape(1));
    view.sources = int(sizes.shape(0));
    view.radius = radius;
    view.noise_power = noise_power;
    const float* next = sources.data();
    for (int s = 0; s < view.sources; ++s) {
        StereoSource& source = view.source[s];
        source.grey = next;
        source.height = sizes.data()[2 * s];
        source.width = sizes.data()[2 * s + 1];
        next += int64_t(source.height) * source.width;
        std::copy_n(maps.data() + 12 * s, 9, source.map);
        std::copy_n(maps.data() + 12 * s + 9, 3, source.shift);
    }
    return view;
}

void sweep(Input grey, Input sources, Array<const int32_t> sizes, Input maps, int radius, float noise_power,
           Input inverse_depth, int threads, Bytes cost) {
    nb::gil_scoped_release release;
    sweep_planes(view_of(grey, sources, sizes, maps, radius, noise_power), inverse_depth.data(), int(inverse_depth.size()),
                 cost.data(), threads);
}

void smooth(Input grey, Array<const uint8_t> cost, int step, int jump, float edge, int threads, Output place, Output margin) {
    nb::gil_scoped_release release;
    semi_global(grey.data(), int(grey.shape(0)), int(grey.shape(1)), cost.data(), int(cost.shape(2)), {step, jump, edge},
                place.data(), margin.data(), threads);
}

void refine(Input grey, Input sources, Array<const int32_t> sizes, Input maps, int radius, float noise_power, Input anchor,
            float spacing, float anchor_weight, float grey_sigma, int window_radius, int stride, int rounds, int threads, Output inverse_depth,
            Output along_x, Output along_y, Output cost) {
    nb::gil_scoped_release release;
    refine_slants(view_of(grey, sources, sizes, maps, radius, noise_power),
                  {anchor.data(), spacing, anchor_weight, grey_sigma, window_radius, stride, rounds},
                  {inverse_depth.data(), along_x.data(), along_y.data(), cost.data()}, threads);
}

}  // namespace

void bind_stereo(nb::module_& m) {
    m.def("sweep_planes", &sweep, "grey"_a, "sources"_a, "sizes"_a, "maps"_a, "radius"_a, "noise_power"_a,
          "inverse_depth"_a, "threads"_a, "cost"_a, "Cost of every plane at every pixel (stereo.h).");
    m.def("semi_global", &smooth, "grey"_a, "cost"_a, "step"_a, "jump"_a, "edge"_a, "threads"_a, "place"_a, "margin"_a,
          "The plane of least cost along eight paths (stereo.h).");
    m.def("refine_slants", &refine, "grey"_a, "sources"_a, "sizes"_a, "maps"_a, "radius"_a, "noise_power"_a, "anchor"_a,
          "spacing"_a, "anchor_weight"_a, "grey_sigma"_a, "window_radius"_a, "stride"_a, "rounds"_a, "threads"_a, "inverse_depth"_a,
          "along_x"_a, "along_y"_a, "cost"_a, "Small planes that fit better (stereo.h).");
}
