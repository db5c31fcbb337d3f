#include "pictures.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "layers.h"

namespace hyperfocal::checks {
namespace {

// Rows of a disc as differences along them, with whole numbers alone: pixels whose centres are within `radius_quarters`
// quarters of a pixel.
struct Disc {
    int reach = 0;
    double height = 1;  // of each pixel, so that they add up to 1

    explicit Disc(int64_t quarters) : squared_(quarters * quarters) {
        while (inside(reach + 1, 0)) ++reach;
        int64_t pixels = 0;
        for (int y = -reach; y <= reach; ++y)
            for (int x = -reach; x <= reach; ++x) pixels += inside(x, y);
        height = 1 / double(pixels);
    }
    bool inside(int64_t x, int64_t y) const { return 16 * (x * x + y * y) <= squared_; }
    double difference(int x, int y) const { return height * (int(inside(x, y)) - int(inside(x - 1, y))); }

  private:
    int64_t squared_;
};

void make_stencils(Picture& picture, int64_t quarters_a_level) {
    for (int i = 0; i < picture.intervals; ++i) {
        const Disc lower(i * quarters_a_level), upper((i + 1) * quarters_a_level);
        picture.reach.push_back(upper.reach);
        picture.first_row.push_back(int32_t(picture.row_start.size()));
        for (int y = -upper.reach; y <= upper.reach; ++y) {
            picture.row_start.push_back(int32_t(picture.dx.size()));
            for (int x = -upper.reach; x <= upper.reach + 1; ++x) {
                const double below = lower.difference(x, y), change = upper.difference(x, y) - below;
                if (below == 0 && change == 0) continue;
                picture.dx.push_back(x);
                picture.base.push_back(below);
                picture.slope.push_back(change);
            }
        }
        picture.row_start.push_back(int32_t(picture.dx.size()));
    }
    // What reads past the end must leave the allocation to be seen.
    for (auto* values : {&picture.reach, &picture.first_row, &picture.row_start, &picture.dx}) values->shrink_to_fit();
    for (auto* values : {&picture.base, &picture.slope}) values->shrink_to_fit();
}

// Numbers up to, at and beyond `last`, and what is none.
void spoil(Random& random, Floats& values, float last) {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const float odd[] = {0.0f, -0.0f, 1e-42f, -1e-42f, -1.0f, last, last + 1, 1e9f, 3e9f, 3e38f, -3e38f, inf, -inf, nan};
    for (float& value : values)
        if (random.chance(0.1f)) value = odd[random.below(std::size(odd))];
}

const float* or_null(const Floats& values) { return values.size() ? values.data() : nullptr; }

}  // namespace

std::string Picture::describe() const {
    return "picture of " + std::to_string(planes) + " x " + std::to_string(width) + " x " + std::to_string(height) + ", " +
           std::to_string(layers) + " layers, circles to " + std::to_string(reach.empty() ? 0 : reach.back()) + " px" +
           (bright ? ", bright" : "") + (degenerate ? ", degenerate" : "");
}

Picture random_picture(uint64_t seed) {
    Random random(seed);
    Picture p;
    p.planes = 1 + int(random.below(3));
    p.height = any_size(random);
    p.width = any_size(random);
    if (random.chance(0.05f)) p.planes = 0;
    if (random.chance(0.05f)) p.height = 0;
    if (random.chance(0.05f)) p.width = 0;
    static const int layers[] = {1, 1, 2, 3, 17, 64};
    p.layers = layers[random.below(std::size(layers))];
    p.degenerate = random.chance(0.5f);
    p.bright = random.chance(0.3f);
    p.shifted = random.chance(0.3f);

    const int64_t pixels = int64_t(p.height) * p.width, sources = p.planes * pixels;
    // Discs much larger than the picture, but not for many sources: that would take minutes and show nothing new.
    const int64_t most = std::clamp<int64_t>(300000 / std::max<int64_t>(sources, 1), 2, 200);
    p.intervals = 1 + int(random.below(std::min<int64_t>(most, 30)));
    make_stencils(p, 1 + random.below(4 * most / p.intervals));

    const float last_level = float(p.intervals), last_layer = float(p.layers - 1);
    p.color = uniform(random, 3 * sources, 0.0f, 1.0f, p.shifted);
    p.level = uniform(random, sources, 0.0f, last_level, p.shifted);
    p.layer = uniform(random, sources, 0.0f, last_layer, p.shifted);
    // Surfaces that lie in one layer, in focus, or fill the picture by themselves.
    if (random.chance(0.3f))
        for (float& place : p.layer) place = float(int(place));
    if (random.chance(0.3f))
        for (float& level : p.level) level = random.chance(0.5f) ? 0.0f : level;
    if (random.chance(0.9f)) p.d_color = uniform(random, 3 * pixels, -1.0f, 1.0f, p.shifted);
    if (random.chance(0.5f)) p.d_alpha = uniform(random, pixels, -1.0f, 1.0f, p.shifted);
    if (p.bright)
        for (float& value : p.color)
            if (random.chance(0.02f)) value *= 1e6f;
    if (p.degenerate) {
        spoil(random, p.level, last_level);
        spoil(random, p.layer, last_layer);
    }
    return p;
}

std::vector<Result> compute_all(const Picture& p, int threads) {
    const int64_t pixels = int64_t(p.height) * p.width, count = p.planes * pixels;
    const LayerSources sources = {p.planes,       p.height,       p.width,       p.layers,
                                  p.color.data(), p.level.data(), p.layer.data()};
    const Stencils stencils = {p.intervals,   p.reach.data(), p.first_row.data(), p.row_start.data(),
                               p.dx.data(),   p.base.data(),  p.slope.data()};
    Floats color(3 * pixels, p.shifted), alpha(pixels, p.shifted), state(kStateWords * pixels, p.shifted);
    Floats to_color(3 * count, p.shifted), to_level(count, p.shifted), to_layer(count, p.shifted);
    const LayerPicture picture = {color.data(), alpha.data(), state.data()};
    draw_layers(sources, stencils, picture, threads);
    undraw_layers(sources, stencils, picture,
                  {or_null(p.d_color), or_null(p.d_alpha), to_color.data(), to_level.data(), to_layer.data()}, threads);
    std::vector<Result> results;
    results.push_back({"color of layers", std::move(color)});
    results.push_back({"alpha of layers", std::move(alpha)});
    results.push_back({"d_color of layers", std::move(to_color)});
    results.push_back({"d_level of layers", std::move(to_level)});
    results.push_back({"d_layer of layers", std::move(to_layer)});
    return results;
}

}  // namespace hyperfocal::checks
