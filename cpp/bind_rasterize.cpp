// Python's view of the rasteriser. Shapes are checked in native/rasterize.py, the only caller.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>

#include <cstring>
#include <memory>
#include <optional>

#include "raster.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace hyperfocal;

namespace {

using Input = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using MaybeInput = std::optional<Input>;
using MaybeOutput = std::optional<Output>;

const float* at(const MaybeInput& array, int64_t offset) { return array ? array->data() + offset : nullptr; }
float* at(const MaybeOutput& array, int64_t offset) { return array ? array->data() + offset : nullptr; }

// The inputs of all views. Holds the arrays, whose memory must stay as it is until the last backward: the caller's
// autograd function sees to that.
struct Rasterization {
    Input means, quaternions, scales, opacities, world_to_camera, focal_px, center_px;
    MaybeInput sh, colors, background, variance_px2, opacity_factor, mean_offsets_px, features;
    int64_t views = 0;
    bool means_per_view = false, quaternions_per_view = false, colors_per_view = false,
         features_per_view = false;
    ViewInputs common = {};
    std::unique_ptr<ViewState[]> states = {};  // one per view

    ViewInputs view(int64_t v) const {
        ViewInputs in = common;
        const int64_t n = in.n;
        in.means = means.data() + (means_per_view ? 3 * n * v : 0);
        in.quaternions = quaternions.data() + (quaternions_per_view ? 4 * n * v : 0);
        in.scales = scales.data();
        in.opacities = opacities.data();
        in.sh = at(sh, 0);
        in.colors = at(colors, colors_per_view ? 3 * n * v : 0);
        std::memcpy(in.world_to_camera, world_to_camera.data() + 16 * v, sizeof in.world_to_camera);
        std::memcpy(in.focal_px, focal_px.data() + 2 * v, sizeof in.focal_px);
        std::memcpy(in.center_px, center_px.data() + 2 * v, sizeof in.center_px);
        if (background) std::memcpy(in.background, background->data() + 3 * v, sizeof in.background);
        in.variance_px2 = at(variance_px2, n * v);
        in.opacity_factor = at(opacity_factor, n * v);
        in.mean_offsets_px = at(mean_offsets_px, 2 * n * v);
        in.features = at(features, features_per_view ? in.channels * n * v : 0);
        return in;
    }
};

std::unique_ptr<Rasterization> prepare(Input means, Input quaternions, Input scales, Input opacities,
                                       Input world_to_camera, Input focal_px, Input center_px, int width, int height,
                                       int first_row, int image_height, MaybeInput sh, MaybeInput colors, int sh_degree,
                                       MaybeInput background, MaybeInput variance_px2, MaybeInput opacity_factor,
                                       MaybeInput mean_offsets_px, MaybeInput features, float low_pass_px2, float near,
                                       float far, float alpha_cut, bool relative_cut, OpacityLaw opacity_law) {
    std::unique_ptr<Rasterization> r(new Rasterization{means, quaternions, scales, opacities, world_to_camera, focal_px,
                                                       center_px, sh, colors, background, variance_px2, opacity_factor,
                                                       mean_offsets_px, features});
    r->views = int64_t(world_to_camera.shape(0));
    r->means_per_view = means.ndim() == 3;
    r->quaternions_per_view = quaternions.ndim() == 3;
    r->colors_per_view = colors && colors->ndim() == 3;
    r->features_per_view = features && features->ndim() == 3;
    r->common.n = int64_t(opacities.shape(0));
    r->common.width = width;
    r->common.height = height;
    r->common.first_row = first_row;
    r->common.image_height = image_height;
    r->common.channels = features ? int(features->shape(features->ndim() - 1)) : 0;
    r->common.sh_stored = sh ? int(sh->shape(1)) : 0;
    r->common.sh_degree = sh_degree;
    r->common.low_pass_px2 = low_pass_px2;
    r->common.near = near;
    r->common.far = far;
    r->common.alpha_cut = alpha_cut;
    r->common.relative_cut = relative_cut;
    r->common.opacity_law = opacity_law;
    return r;
}

void forward(Rasterization& r, int threads, Output color, Output alpha, Output depth_expected, Output depth_median,
             MaybeOutput features, Output radii_px, MaybeInput error_map, MaybeOutput weight_sum, MaybeOutput error_sum) {
    nb::gil_scoped_release unlocked;
    const int64_t pixels = int64_t(r.common.width) * r.common.height, n = r.common.n;
    r.states = std::make_unique<ViewState[]>(size_t(r.views));
    for (int64_t v = 0; v < r.views; ++v) {
        const ViewInputs view = r.view(v);
        const ViewImages images = {color.data() + 3 * pixels * v, alpha.data() + pixels * v,
                                   depth_expected.data() + pixels * v, depth_median.data() + pixels * v,
                                   at(features, r.common.channels * pixels * v)};
        ViewState& state = r.states[size_t(v)];
        state = draw_view(view, images, radii_px.data() + n * v, threads);
        if (weight_sum || error_sum)
            weigh_view(view, state, at(error_map, pixels * v), at(weight_sum, n * v), at(error_sum, n * v), threads);
    }
}

void backward(const Rasterization& r, int threads, Input color, Input alpha, Input depth_expected,
              MaybeInput features, MaybeInput d_color, MaybeInput d_alpha, MaybeInput d_depth_expected,
              MaybeInput d_depth_median, MaybeInput d_features, MaybeOutput d_means, MaybeOutput d_quaternions,
              MaybeOutput d_scales, MaybeOutput d_opacities, MaybeOutput d_sh, MaybeOutput d_colors,
              MaybeOutput d_world_to_camera, MaybeOutput d_focal_px, MaybeOutput d_center_px, MaybeOutput d_background,
              MaybeOutput d_variance_px2, MaybeOutput d_opacity_factor, MaybeOutput d_mean_offsets_px,
              MaybeOutput d_feature_rows) {
    nb::gil_scoped_release unlocked;
    const int64_t pixels = int64_t(r.common.width) * r.common.height, n = r.common.n;
    for (int64_t v = 0; v < r.views; ++v) {
        const int64_t pixel = pixels * v;
        const int64_t channels = r.common.channels;
        const ImageGradients images = {at(d_color, 3 * pixel),           at(d_alpha, pixel),
                                       at(d_depth_expected, pixel),      at(d_depth_median, pixel),
                                       at(d_features, channels * pixel), color.data() + 3 * pixel,
                                       alpha.data() + pixel,             depth_expected.data() + pixel,
                                       at(features, channels * pixel)};
        GaussianGradients g;
        g.means = at(d_means, r.means_per_view ? 3 * n * v : 0);
        g.quaternions = at(d_quaternions, r.quaternions_per_view ? 4 * n * v : 0);
        g.scales = at(d_scales, 0);
        g.opacities = at(d_opacities, 0);
        g.sh = at(d_sh, 0);
        g.colors = at(d_colors, r.colors_per_view ? 3 * n * v : 0);
        g.features = at(d_feature_rows, r.features_per_view ? channels * n * v : 0);
        g.variance_px2 = at(d_variance_px2, n * v);
        g.opacity_factor = at(d_opacity_factor, n * v);
        g.mean_offsets_px = at(d_mean_offsets_px, 2 * n * v);
        // What views share, the second and later ones add to.
        g.accumulate = v > 0;
        g.accumulate_means = v > 0 && !r.means_per_view;
        g.accumulate_quaternions = v > 0 && !r.quaternions_per_view;
        g.accumulate_colors = v > 0 && !r.colors_per_view;
        g.accumulate_features = v > 0 && !r.features_per_view;
        const CameraGradients camera = {at(d_world_to_camera, 16 * v), at(d_focal_px, 2 * v), at(d_center_px, 2 * v),
                                        at(d_background, 3 * v)};
        undraw_view(r.view(v), r.states[size_t(v)], images, g, camera, threads);
    }
}

}  // namespace

void bind_rasterize(nb::module_& m) {
    nb::enum_<OpacityLaw>(m, "OpacityLaw", "What a Gaussian's opacity becomes when its footprint is widened.")
        .value("none", OpacityLaw::none)
        .value("energy", OpacityLaw::energy)
        .value("optical_depth", OpacityLaw::optical_depth);
    nb::class_<Rasterization>(m, "Rasterization", "The inputs of some views, and what forward leaves for backward.")
        .def_static("prepare", &prepare, "means"_a, "quaternions"_a, "scales"_a, "opacities"_a, "world_to_camera"_a,
                    "focal_px"_a, "center_px"_a, "width"_a, "height"_a, "first_row"_a, "image_height"_a, "sh"_a.none(),
                    "colors"_a.none(), "sh_degree"_a, "background"_a.none(), "variance_px2"_a.none(),
                    "opacity_factor"_a.none(), "mean_offsets_px"_a.none(), "features"_a.none(), "low_pass_px2"_a,
                    "near"_a, "far"_a, "alpha_cut"_a, "relative_cut"_a, "opacity_law"_a)
        .def("forward", &forward, "threads"_a, "color"_a, "alpha"_a, "depth_expected"_a, "depth_median"_a,
             "features"_a.none(), "radii_px"_a, "error_map"_a.none(), "weight_sum"_a.none(), "error_sum"_a.none())
        .def("backward", &backward, "threads"_a, "color"_a, "alpha"_a, "depth_expected"_a, "features"_a.none(),
             "d_color"_a.none(), "d_alpha"_a.none(), "d_depth_expected"_a.none(), "d_depth_median"_a.none(),
             "d_features"_a.none(), "d_means"_a.none(), "d_quaternions"_a.none(), "d_scales"_a.none(),
             "d_opacities"_a.none(), "d_sh"_a.none(), "d_colors"_a.none(), "d_world_to_camera"_a.none(),
             "d_focal_px"_a.none(), "d_center_px"_a.none(), "d_background"_a.none(), "d_variance_px2"_a.none(),
             "d_opacity_factor"_a.none(), "d_mean_offsets_px"_a.none(), "d_feature_rows"_a.none());
}
