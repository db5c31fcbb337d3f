// Random and degenerate scenes for the stress driver, and everything that the core computes of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "kernels.h"

namespace hyperfocal::checks {

// SplitMix64 (Steele, Lea, Flood 2014). Its floats are exact multiples of 2^-24 and nothing here calls the mathematical
// library, so that every machine draws the same scenes bit for bit.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits();
    float uniform(float low, float high);
    int64_t below(int64_t count);
    bool chance(float probability) { return uniform(0.0f, 1.0f) < probability; }

  private:
    uint64_t state_;
};

// Floats in an allocation of exactly their size: what reads or writes beside it, AddressSanitizer sees. Filled with NaN, for
// a value that nobody wrote to be noticed. On a 64-byte boundary or, as a slice of a tensor may be, 4 bytes past one.
class Floats {
  public:
    explicit Floats(int64_t count = 0, bool shifted = false);
    float* data() { return data_; }
    const float* data() const { return data_; }
    int64_t size() const { return count_; }
    float& operator[](int64_t i) { return data_[i]; }
    const float& operator[](int64_t i) const { return data_[i]; }
    float* begin() { return data_; }
    float* end() { return data_ + count_; }
    const float* begin() const { return data_; }
    const float* end() const { return data_ + count_; }

  private:
    struct Free {
        void operator()(void* block) const { ::operator delete(block, std::align_val_t(64)); }
    };
    std::unique_ptr<void, Free> block_;
    float* data_ = nullptr;
    int64_t count_ = 0;
};

// One named array of results.
struct Result {
    std::string name;
    Floats values;
};

struct Scene {
    int64_t n = 0;
    int width = 0, height = 0, first_row = 0, image_height = 0;  // as those of ViewInputs
    int views = 1, sh_stored = 0, sh_degree = 0, channels = 0;
    bool degenerate = false;  // some attributes are zero, huge or no numbers
    bool extreme = false;     // variances from nothing to more than any picture, opacities of 0, 1 and beside them
    bool shifted = false;     // arrays start 4 bytes past a 64-byte boundary
    bool want_camera = false, want_all_gradients = false, relative_cut = true;
    float near = 0.01f, far = std::numeric_limits<float>::infinity(), low_pass_px2 = 0.3f, alpha_cut = 1.0f / 255.0f;
    OpacityLaw opacity_law = OpacityLaw::none;
    Floats means, quaternions, scales, opacities, sh, colors, variance_px2, opacity_factor, mean_offsets_px, features;
    Floats world_to_camera, focal_px, center_px, background;  // by view
    Floats error_map, target;                                 // [h, w] and [h, w, 3]
    Floats d_color, d_alpha, d_depth_expected, d_depth_median, d_features;  // images' gradients, empty if absent
    std::vector<uint8_t> valid, row_mask;                     // empty if absent
    std::string describe() const;
};

// An array of random numbers.
Floats uniform(Random& random, int64_t count, float low, float high, bool shifted);

// A number of pixels: those at which kernels begin another vector, block, tile or band, or any.
int any_size(Random& random);

// Scenes differ in everything: sizes from one pixel on, from no Gaussian to thousands, which inputs there are.
Scene random_scene(uint64_t seed);

// Draws, weighs, differentiates (twice, as one forward serves several backwards; complains if the two differ), compares
// with the target, steps the optimiser and activates parameters. The order of the results is always the same.
std::vector<Result> compute_all(const Scene& scene, int threads);

}  // namespace hyperfocal::checks
