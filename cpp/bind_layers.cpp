// Python's door to layers.h. Shapes are checked in native/layers.py, the only caller.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>

#include "layers.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace hyperfocal;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Input = Array<const float>;
using Output = Array<float>;
using Integers = Array<const int32_t>;
using Doubles = Array<const double>;

LayerSources sources_of(const Input& color, const Input& level, const Input& layer, int layers) {
    return {int(level.shape(0)), int(level.shape(1)), int(level.shape(2)), layers, color.data(), level.data(), layer.data()};
}

Stencils stencils_of(const Integers& reach, const Integers& first_row, const Integers& row_start, const Integers& dx,
                     const Doubles& base, const Doubles& slope) {
    return {int(reach.size()), reach.data(), first_row.data(), row_start.data(), dx.data(), base.data(), slope.data()};
}

void forward(Input color, Input level, Input layer, int layers, Integers reach, Integers first_row, Integers row_start,
             Integers dx, Doubles base, Doubles slope, int threads, Output out_color, Output out_alpha, Output state) {
    nb::gil_scoped_release release;
    draw_layers(sources_of(color, level, layer, layers), stencils_of(reach, first_row, row_start, dx, base, slope),
                {out_color.data(), out_alpha.data(), state.data()}, threads);
}

void backward(Input color, Input level, Input layer, int layers, Integers reach, Integers first_row, Integers row_start,
              Integers dx, Doubles base, Doubles slope, int threads, Output out_color, Output out_alpha, Output state,
              std::optional<Input> d_color, std::optional<Input> d_alpha, Output to_color, Output to_level,
              Output to_layer) {
    nb::gil_scoped_release release;
    undraw_layers(sources_of(color, level, layer, layers), stencils_of(reach, first_row, row_start, dx, base, slope),
                  {out_color.data(), out_alpha.data(), state.data()},
                  {d_color ? d_color->data() : nullptr, d_alpha ? d_alpha->data() : nullptr, to_color.data(),
                   to_level.data(), to_layer.data()},
                  threads);
}

}  // namespace

void bind_layers(nb::module_& m) {
    m.def("draw_layers", &forward, "color"_a, "level"_a, "layer"_a, "layers"_a, "reach"_a, "first_row"_a, "row_start"_a,
          "dx"_a, "base"_a, "slope"_a, "threads"_a, "out_color"_a, "out_alpha"_a, "state"_a,
          "Scatters sources into layers and lays these over each other (layers.h).");
    m.def("undraw_layers", &backward, "color"_a, "level"_a, "layer"_a, "layers"_a, "reach"_a, "first_row"_a,
          "row_start"_a, "dx"_a, "base"_a, "slope"_a, "threads"_a, "out_color"_a, "out_alpha"_a, "state"_a,
          "d_color"_a.none(), "d_alpha"_a.none(), "to_color"_a, "to_level"_a, "to_layer"_a,
          "Fills the gradients of the sources (layers.h).");
}
