#include "scenes.h"

#include <cstring>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <utility>

#include "loss.h"
#include "raster.h"

namespace hyperfocal::checks {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

Floats uniform(Random& random, const Scene& scene, int64_t count, float low, float high) {
    return checks::uniform(random, count, low, high, scene.shifted);
}

Floats copy(const Floats& values, bool shifted) {
    Floats result(values.size(), shifted);
    for (int64_t i = 0; i < values.size(); ++i) result[i] = values[i];
    return result;
}

// Attributes that no fit should ever make, and some of them do.
void spoil(Random& random, Floats& values, float share) {
    static const float odd[] = {0.0f, -0.0f, 1.0f,   -1.0f, 1e-30f, -1e-30f, 1e-42f, 1e4f,
                                1e9f, 1e19f, -1e19f, 3e38f, kInf,   -kInf,   kNan,   1e-8f};
    for (float& value : values)
        if (random.chance(share)) value = odd[random.below(std::size(odd))];
}

// A camera near the origin that looks roughly along +z.
void place_camera(Random& random, Scene& scene, int view) {
    float* pose = scene.world_to_camera.data() + 16 * view;
    // A small rotation about y, (1 - t^2, 2 t) / (1 + t^2), which needs no sine.
    const float t = random.uniform(-0.2f, 0.2f), c = (1 - t * t) / (1 + t * t), s = 2 * t / (1 + t * t);
    const float rows[16] = {c, 0, s, random.uniform(-0.3f, 0.3f), 0, 1, 0, random.uniform(-0.3f, 0.3f),
                            -s, 0, c, random.uniform(-0.3f, 0.3f), 0, 0, 0, 1};
    std::memcpy(pose, rows, sizeof rows);
    for (int axis = 0; axis < 2; ++axis) {
        const float size = float(axis ? scene.image_height : scene.width);
        scene.focal_px[2 * view + axis] = random.uniform(0.5f, 1.5f) * (size + 20.0f);
        scene.center_px[2 * view + axis] = size * random.uniform(0.3f, 0.7f);
    }
}

// Attributes that are allowed, at the ends of what is: a footprint that is not widened, hardly, or to any size; opacities
// that nothing of, or everything, is left of. A few of many, as every widened one covers the picture.
void stretch(Random& random, Scene& scene) {
    const float share = scene.n > 17 ? 0.02f : 1.0f;
    static const float opacities[] = {0.0f, 1e-42f, 1e-30f, 1e-7f, 0.12f, 0.9999f, 0.99999994f, 1.0f};
    for (int64_t i = 0; i < scene.n; ++i) {
        if (scene.variance_px2.size() && random.chance(share)) {
            float variance = random.chance(0.1f) ? 0.0f : random.uniform(1.0f, 2.0f);
            for (int64_t k = random.below(40); k > 0; --k) variance *= 0.5f;
            for (int64_t k = random.below(100); k > 0; --k) variance *= 2.0f;
            scene.variance_px2[i] = variance;
        }
        if (random.chance(0.3f)) scene.opacities[i] = opacities[random.below(std::size(opacities))];
    }
}

void append(std::vector<Result>& results, const std::string& name, Floats&& values) {
    results.push_back({name, std::move(values)});
}

struct Gradients {
    Floats means, quaternions, scales, opacities, sh, colors, variance_px2, opacity_factor, mean_offsets_px, features;
    Floats world_to_camera, focal_px, center_px, background;
};

float* or_null(Floats& values) { return values.size() ? values.data() : nullptr; }
const float* or_null(const Floats& values) { return values.size() ? values.data() : nullptr; }

struct Images {
    Floats color, alpha, depth_expected, depth_median, features, radii_px;
    Images(const Scene& s, int64_t pixels)
        : color(3 * pixels, s.shifted), alpha(pixels, s.shifted), depth_expected(pixels, s.shifted),
          depth_median(pixels, s.shifted), features(s.channels * pixels, s.shifted), radii_px(s.n, s.shifted) {}
};

ViewInputs view_of(const Scene& scene, int view) {
    ViewInputs in;
    in.n = scene.n;
    in.width = scene.width;
    in.height = scene.height;
    in.first_row = scene.first_row;
    in.image_height = scene.image_height;
    in.means = scene.means.data();
    in.quaternions = scene.quaternions.data();
    in.scales = scene.scales.data();
    in.opacities = scene.opacities.data();
    in.sh = scene.sh_stored ? scene.sh.data() : nullptr;
    in.colors = scene.sh_stored ? nullptr : scene.colors.data();
    in.sh_stored = scene.sh_stored;
    in.sh_degree = scene.sh_degree;
    std::memcpy(in.world_to_camera, scene.world_to_camera.data() + 16 * view, sizeof in.world_to_camera);
    std::memcpy(in.focal_px, scene.focal_px.data() + 2 * view, sizeof in.focal_px);
    std::memcpy(in.center_px, scene.center_px.data() + 2 * view, sizeof in.center_px);
    if (scene.background.size())
        std::memcpy(in.background, scene.background.data() + 3 * view, sizeof in.background);
    in.variance_px2 = or_null(scene.variance_px2);
    in.opacity_factor = or_null(scene.opacity_factor);
    in.mean_offsets_px = or_null(scene.mean_offsets_px);
    in.features = or_null(scene.features);
    in.channels = scene.channels;
    in.low_pass_px2 = scene.low_pass_px2;
    in.near = scene.near;
    in.far = scene.far;
    in.opacity_law = scene.opacity_law;
    in.alpha_cut = scene.alpha_cut;
    in.relative_cut = scene.relative_cut;
    return in;
}

Gradients backward(const Scene& scene, const std::vector<ViewState>& states, const std::vector<Images>& images,
                   int threads) {
    const int64_t n = scene.n;
    const bool all = scene.want_all_gradients, shifted = scene.shifted;
    const auto want = [&](int64_t count, bool wanted) { return Floats(wanted ? count : 0, shifted); };
    Gradients g = {want(3 * n, true),
                   want(4 * n, all),
                   want(3 * n, all),
                   want(n, all),
                   want(3 * n * scene.sh_stored, true),
                   want(3 * n, !scene.sh_stored),
                   want(n, all),
                   want(n, all),
                   want(2 * n, all),
                   want(scene.channels * n, true),
                   want(16 * scene.views, scene.want_camera),
                   want(2 * scene.views, scene.want_camera),
                   want(2 * scene.views, scene.want_camera && all),
                   want(3 * scene.views, scene.want_camera)};
    for (int v = 0; v < scene.views; ++v) {
        GaussianGradients out;
        out.means = or_null(g.means);
        out.quaternions = or_null(g.quaternions);
        out.scales = or_null(g.scales);
        out.opacities = or_null(g.opacities);
        out.sh = or_null(g.sh);
        out.colors = or_null(g.colors);
        out.features = or_null(g.features);
        // Of several views these are each view's own; here the last one stays.
        out.variance_px2 = or_null(g.variance_px2);
        out.opacity_factor = or_null(g.opacity_factor);
        out.mean_offsets_px = or_null(g.mean_offsets_px);
        out.accumulate = out.accumulate_means = out.accumulate_quaternions = out.accumulate_colors = v > 0;
        out.accumulate_features = v > 0;
        CameraGradients camera;
        if (g.world_to_camera.size()) camera.world_to_camera = g.world_to_camera.data() + 16 * v;
        if (g.focal_px.size()) camera.focal_px = g.focal_px.data() + 2 * v;
        if (g.center_px.size()) camera.center_px = g.center_px.data() + 2 * v;
        if (g.background.size()) camera.background = g.background.data() + 3 * v;
        ImageGradients d = {};
        d.d_color = or_null(scene.d_color);
        d.d_alpha = or_null(scene.d_alpha);
        d.d_depth_expected = or_null(scene.d_depth_expected);
        d.d_depth_median = or_null(scene.d_depth_median);
        d.d_features = scene.channels ? or_null(scene.d_features) : nullptr;
        d.color = images[size_t(v)].color.data();
        d.alpha = images[size_t(v)].alpha.data();
        d.depth_expected = images[size_t(v)].depth_expected.data();
        d.features = or_null(images[size_t(v)].features);
        undraw_view(view_of(scene, v), states[size_t(v)], d, out, camera, threads);
    }
    return g;
}

void append(std::vector<Result>& results, Gradients&& g) {
    append(results, "d_means", std::move(g.means));
    append(results, "d_quaternions", std::move(g.quaternions));
    append(results, "d_scales", std::move(g.scales));
    append(results, "d_opacities", std::move(g.opacities));
    append(results, "d_sh", std::move(g.sh));
    append(results, "d_colors", std::move(g.colors));
    append(results, "d_variance_px2", std::move(g.variance_px2));
    append(results, "d_opacity_factor", std::move(g.opacity_factor));
    append(results, "d_mean_offsets_px", std::move(g.mean_offsets_px));
    append(results, "d_features", std::move(g.features));
    append(results, "d_world_to_camera", std::move(g.world_to_camera));
    append(results, "d_focal_px", std::move(g.focal_px));
    append(results, "d_center_px", std::move(g.center_px));
    append(results, "d_background", std::move(g.background));
}

void compare_with_target(const Scene& scene, const Floats& color, int threads, std::vector<Result>& results) {
    Floats gradient(color.size(), scene.shifted), values(2);
    PhotometricLoss loss;
    loss.width = scene.width;
    loss.height = scene.height;
    loss.rendered = color.data();
    loss.target = scene.target.data();
    loss.valid = scene.valid.empty() ? nullptr : scene.valid.data();
    values[0] = float(photometric_loss(loss, 0.2, threads));
    loss.gradient = gradient.data();
    values[1] = float(photometric_loss(loss, 0.2, threads));
    append(results, "loss", std::move(values));
    append(results, "loss gradient", std::move(gradient));
}

void step_optimizer(const Scene& scene, const Floats& gradient, int threads, std::vector<Result>& results) {
    const int64_t columns = scene.sh_stored ? 3 * scene.sh_stored : 3;
    const Floats& start = scene.sh_stored ? scene.sh : scene.colors;
    Floats parameter = copy(start, scene.shifted), first(start.size(), scene.shifted), second(start.size(), scene.shifted);
    Floats rates(scene.want_all_gradients ? columns : 1);
    for (int64_t i = 0; i < start.size(); ++i) first[i] = second[i] = 0.0f;
    for (int64_t i = 0; i < rates.size(); ++i) rates[i] = 0.01f + 0.001f * float(i);
    AdamStep adam;
    adam.rows = scene.n;
    adam.columns = columns;
    adam.parameter = parameter.data();
    adam.gradient = gradient.data();
    adam.first_moment = first.data();
    adam.second_moment = second.data();
    adam.row_mask = scene.row_mask.empty() ? nullptr : scene.row_mask.data();
    adam.learning_rates = rates.data();
    adam.rate_per_column = rates.size() == columns;
    for (adam.step = 1; adam.step <= 2; ++adam.step) adam_step(adam, threads);
    append(results, "parameter", std::move(parameter));
    append(results, "first moment", std::move(first));
    append(results, "second moment", std::move(second));

    std::vector<uint16_t> first_bfloat16(size_t(start.size())), second_bfloat16(size_t(start.size()));
    parameter = copy(start, scene.shifted);
    adam.parameter = parameter.data();
    adam.first_moment = adam.second_moment = nullptr;
    adam.first_bfloat16 = first_bfloat16.data();
    adam.second_bfloat16 = second_bfloat16.data();
    if (!first_bfloat16.empty())  // no rows, no memory: null would mean the other kind
        for (adam.step = 1; adam.step <= 2; ++adam.step) adam_step(adam, threads);
    Floats second_values(start.size());
    for (int64_t i = 0; i < start.size(); ++i) second_values[i] = float(second_bfloat16[size_t(i)]);
    append(results, "parameter of bfloat16", std::move(parameter));
    append(results, "second moment in bfloat16", std::move(second_values));
}

void activate(const Scene& scene, int threads, std::vector<Result>& results) {
    Floats scales(scene.means.size(), scene.shifted), opacities(scene.means.size(), scene.shifted);
    exp_all(scales.size(), scene.means.data(), scales.data(), threads);
    sigmoid_all(opacities.size(), scene.means.data(), opacities.data(), threads);
    append(results, "exp", std::move(scales));
    append(results, "sigmoid", std::move(opacities));
}

}  // namespace

uint64_t Random::bits() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

float Random::uniform(float low, float high) { return low + (high - low) * (float(bits() >> 40) * 0x1p-24f); }

int64_t Random::below(int64_t count) { return int64_t(bits() % uint64_t(count)); }

Floats uniform(Random& random, int64_t count, float low, float high, bool shifted) {
    Floats values(count, shifted);
    for (float& value : values) value = random.uniform(low, high);
    return values;
}

int any_size(Random& random) {
    static const int edges[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 100, 129};
    return random.chance(0.7f) ? edges[random.below(std::size(edges))] : 1 + int(random.below(200));
}

Floats::Floats(int64_t count, bool shifted) : count_(count) {
    if (!count) return;
    const size_t lead = shifted ? 1 : 0, bytes = sizeof(float) * (size_t(count) + lead);
    block_.reset(::operator new(bytes, std::align_val_t(64)));
    data_ = static_cast<float*>(block_.get()) + lead;
    for (float& value : *this) value = kNan;
}

std::string Scene::describe() const {
    return std::to_string(n) + " Gaussians, " + std::to_string(views) + " views of " + std::to_string(width) + " x " +
           std::to_string(height) + ", " +
           std::to_string(channels) + " channels" + (sh_stored ? ", " + std::to_string(sh_stored) + " harmonics" : ", colours") +
           (opacity_law == OpacityLaw::none ? "" : opacity_law == OpacityLaw::energy ? ", energy law" : ", depth law") +
           (extreme ? ", extreme" : "") + (degenerate ? ", degenerate" : "");
}

Scene random_scene(uint64_t seed) {
    Random random(seed);
    Scene s;
    static const int64_t counts[] = {0, 1, 2, 15, 16, 17, 100, 700, 1023, 1024, 1025, 3000, 9000};
    s.n = counts[random.below(std::size(counts))];
    s.width = any_size(random);
    s.height = any_size(random);
    if (random.chance(0.3f)) s.first_row = any_size(random) / 2;
    s.image_height = s.first_row + s.height + (random.chance(0.3f) ? any_size(random) / 2 : 0);
    static const int channels[] = {0, 0, 0, 1, 3, 32};
    s.channels = channels[random.below(std::size(channels))];
    s.views = random.chance(0.3f) ? 2 : 1;
    s.degenerate = random.chance(0.5f);
    s.shifted = random.chance(0.3f);
    s.want_camera = random.chance(0.6f);
    s.want_all_gradients = random.chance(0.7f);
    s.relative_cut = random.chance(0.7f);
    if (random.chance(0.2f)) s.alpha_cut = 0.0f;
    static const int stored[] = {0, 0, 1, 4, 9, 16, 16};
    s.sh_stored = stored[random.below(std::size(stored))];
    const int highest = s.sh_stored == 16 ? 3 : s.sh_stored == 9 ? 2 : s.sh_stored == 4 ? 1 : 0;
    s.sh_degree = int(random.below(highest + 1));

    const int64_t n = s.n, pixels = int64_t(s.width) * s.height;
    // Thousands of Gaussians that cover everything would take minutes under a sanitizer and show nothing new.
    const float largest = n > 1025 ? 0.03f : n > 17 ? 0.3f : 3.0f;
    const float size = random.chance(0.3f) ? largest : 0.03f;
    s.means = uniform(random, s, 3 * n, -1.5f, 1.5f);
    for (int64_t i = 0; i < n; ++i) s.means[3 * i + 2] += 2.6f;  // some before the camera's near plane
    s.quaternions = uniform(random, s, 4 * n, -1.0f, 1.0f);
    s.scales = uniform(random, s, 3 * n, 0.1f * size, size);
    s.opacities = uniform(random, s, n, 0.0f, 1.0f);
    // Equal depths and equal everything: ties must keep their order for any number of threads.
    for (int64_t i = 1; i < n; ++i)
        if (random.chance(0.2f)) s.means[3 * i + 2] = s.means[3 * i - 1];
    s.sh = uniform(random, s, 3 * n * s.sh_stored, -1.0f, 1.0f);
    s.colors = uniform(random, s, s.sh_stored ? 0 : 3 * n, 0.0f, 1.0f);
    if (random.chance(0.5f)) s.variance_px2 = uniform(random, s, n, 0.0f, random.chance(0.2f) ? 1000.0f : 2.0f);
    if (random.chance(0.5f)) s.opacity_factor = uniform(random, s, n, 1e-3f, 1.0f);
    if (random.chance(0.5f)) s.mean_offsets_px = uniform(random, s, 2 * n, -2.0f, 2.0f);
    s.features = uniform(random, s, n * s.channels, -1.0f, 1.0f);
    s.world_to_camera = Floats(16 * s.views);
    s.focal_px = Floats(2 * s.views);
    s.center_px = Floats(2 * s.views);
    for (int v = 0; v < s.views; ++v) place_camera(random, s, v);
    if (random.chance(0.6f)) s.background = uniform(random, s, 3 * s.views, 0.0f, 1.0f);
    s.error_map = uniform(random, s, pixels, 0.0f, 1.0f);
    s.target = uniform(random, s, 3 * pixels, 0.0f, 1.0f);
    if (random.chance(0.9f)) s.d_color = uniform(random, s, 3 * pixels, -1.0f, 1.0f);
    if (random.chance(0.5f)) s.d_alpha = uniform(random, s, pixels, -1.0f, 1.0f);
    if (random.chance(0.4f)) s.d_depth_expected = uniform(random, s, pixels, -1.0f, 1.0f);
    if (random.chance(0.3f)) s.d_depth_median = uniform(random, s, pixels, -1.0f, 1.0f);
    if (random.chance(0.7f)) s.d_features = uniform(random, s, pixels * s.channels, -1.0f, 1.0f);
    if (random.chance(0.5f))
        for (int64_t i = 0; i < pixels; ++i) s.valid.push_back(random.chance(0.8f));
    if (random.chance(0.5f))
        for (int64_t i = 0; i < n; ++i) s.row_mask.push_back(random.chance(0.8f));
    static const OpacityLaw laws[] = {OpacityLaw::none, OpacityLaw::energy, OpacityLaw::optical_depth};
    s.opacity_law = laws[random.below(std::size(laws))];
    // Some planes in the midst of the Gaussians, one at which some of them stand, one before all of them.
    if (random.chance(0.4f)) s.far = random.chance(0.1f) ? 0.0f : random.uniform(0.5f, 4.5f);
    if (random.chance(0.1f) && n > 0) s.far = s.means[2];
    s.extreme = random.chance(0.4f);
    if (s.extreme) stretch(random, s);
    if (s.degenerate)
        for (Floats* values : {&s.means, &s.quaternions, &s.scales, &s.opacities, &s.sh, &s.colors, &s.variance_px2,
                               &s.opacity_factor, &s.mean_offsets_px})
            spoil(random, *values, 0.02f);
    return s;
}

std::vector<Result> compute_all(const Scene& scene, int threads) {
    const int64_t pixels = int64_t(scene.width) * scene.height;
    std::vector<Result> results;
    std::vector<ViewState> states;
    std::vector<Images> images;
    for (int v = 0; v < scene.views; ++v) {
        const ViewInputs view = view_of(scene, v);
        Images& out = images.emplace_back(scene, pixels);
        const ViewImages drawn = {out.color.data(), out.alpha.data(), out.depth_expected.data(), out.depth_median.data(),
                                  or_null(out.features)};
        states.push_back(draw_view(view, drawn, out.radii_px.data(), threads));
        Floats weight(scene.n), error(scene.n);
        weigh_view(view, states.back(), scene.error_map.data(), weight.data(), error.data(), threads);
        append(results, "weight_sum", std::move(weight));
        append(results, "error_sum", std::move(error));
    }
    Gradients g = backward(scene, states, images, threads), again = backward(scene, states, images, threads);
    if (again.means.size() && std::memcmp(g.means.data(), again.means.data(), sizeof(float) * size_t(3 * scene.n)))
        throw std::logic_error("two backwards on one forward differ");
    compare_with_target(scene, images[0].color, threads, results);
    step_optimizer(scene, scene.sh_stored ? g.sh : g.colors, threads, results);
    activate(scene, threads, results);
    append(results, std::move(g));
    for (Images& image : images) {
        append(results, "color", std::move(image.color));
        append(results, "alpha", std::move(image.alpha));
        append(results, "depth_expected", std::move(image.depth_expected));
        append(results, "depth_median", std::move(image.depth_median));
        append(results, "features", std::move(image.features));
        append(results, "radii_px", std::move(image.radii_px));
    }
    return results;
}

}  // namespace hyperfocal::checks
