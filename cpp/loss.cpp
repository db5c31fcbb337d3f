#include "loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "buffer.h"
#include "parallel.h"

namespace hyperfocal {
namespace {

// Fixed, so that results do not depend on the number of threads.
constexpr int kBandRows = 64;
constexpr int64_t kStepRows = 1024;

const LossKernels& kernels() {
#ifdef HYPERFOCAL_X86_LEVELS
    if (simd_level() == SimdLevel::v4) return isa_v4::loss_kernels;
    if (simd_level() == SimdLevel::v3) return isa_v3::loss_kernels;
#endif
    return isa_base::loss_kernels;
}

// The same function of every value, a stretch at a time.
void each_stretch(void (*stretch)(int64_t, const float*, float*), int64_t count, const float* from, float* to, int threads) {
    constexpr int64_t kStretch = 16384;
    parallel_for(threads, (count + kStretch - 1) / kStretch, [&](int64_t i, int) {
        stretch(std::min(kStretch, count - i * kStretch), from + i * kStretch, to + i * kStretch);
    });
}

}  // namespace

void exp_all(int64_t count, const float* logs, float* scales, int threads) {
    each_stretch(kernels().exp_stretch, count, logs, scales, threads);
}
void sigmoid_all(int64_t count, const float* logits, float* opacities, int threads) {
    each_stretch(kernels().sigmoid_stretch, count, logits, opacities, threads);
}

double photometric_loss(PhotometricLoss loss, double ssim_weight, int threads) {
    const int64_t pixels = int64_t(loss.width) * loss.height;
    int64_t valid_pixels = pixels;
    if (loss.valid) {
        valid_pixels = 0;
        for (int64_t i = 0; i < pixels; ++i) valid_pixels += loss.valid[i];
    }
    const double values = 3.0 * double(std::max<int64_t>(valid_pixels, 1));
    loss.l1_scale = float((1 - ssim_weight) / values);
    loss.ssim_scale = float(ssim_weight / values);

    const LossKernels& use = kernels();
    const int bands = (loss.height + kBandRows - 1) / kBandRows;
    threads = std::clamp(threads, 1, std::min(bands, kMaxThreads));
    const int64_t scratch_floats = use.photometric_scratch(loss.width);
    Buffer<float> scratch(scratch_floats * threads);
    std::vector<BandSums> sums(bands);
    parallel_for(threads, bands, [&](int64_t band, int worker) {
        const int begin = int(band) * kBandRows, end = std::min(begin + kBandRows, loss.height);
        sums[band] = use.photometric_band(loss, begin, end, scratch.data() + worker * scratch_floats);
    });
    double l1 = 0, ssim = 0;
    for (const BandSums& band : sums) l1 += band.l1, ssim += band.ssim;
    return ((1 - ssim_weight) * l1 + ssim_weight * (3.0 * double(valid_pixels) - ssim)) / values;
}

void adam_step(const AdamStep& step, int threads) {
    // parameter -= rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), with the corrections of bias moved
    // into the rate and epsilon.
    const double bias1 = 1 - std::pow(step.beta1, double(step.step));
    const double bias2 = std::sqrt(1 - std::pow(step.beta2, double(step.step)));
    const int64_t distinct = step.rate_per_column ? step.columns : 1;
    std::vector<float> rates(16 * distinct);
    for (size_t i = 0; i < rates.size(); ++i) rates[i] = float(step.learning_rates[i % distinct] * bias2 / bias1);
    const AdamConstants constants = {float(1 - step.beta1), float(step.beta2),   float(1 - step.beta2),
                                     float(step.epsilon * bias2), rates.data(), int64_t(rates.size()),
                                     uint32_t(step.step) * 0x27D4EB2Fu};  // not noise_at's factor: places and steps must not trade

    const LossKernels& use = kernels();
    const auto stretch = [&](int64_t begin, int64_t end) {
        const int64_t first = begin * step.columns, count = (end - begin) * step.columns;
        if (step.first_bfloat16)
            return use.adam_stretch_bfloat16(constants, count, first, step.parameter + first, step.gradient + first,
                                             step.first_bfloat16 + first, step.second_bfloat16 + first);
        use.adam_stretch(constants, count, step.parameter + first, step.gradient + first, step.first_moment + first,
                         step.second_moment + first);
    };
    parallel_for(threads, (step.rows + kStepRows - 1) / kStepRows, [&](int64_t chunk, int) {
        const int64_t end = std::min((chunk + 1) * kStepRows, step.rows);
        int64_t row = chunk * kStepRows;
        if (!step.row_mask) return stretch(row, end);
        while (row < end) {
            while (row < end && !step.row_mask[row]) ++row;
            const int64_t first = row;
            while (row < end && step.row_mask[row]) ++row;
            if (row > first) stretch(first, row);
        }
    });
}

}  // namespace hyperfocal
