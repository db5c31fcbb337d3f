// What a fit does beside rendering: the activations of its parameters, the photometric loss and the optimiser's step.
// Drivers (loss.cpp) and their kernels for each instruction set (activate.cpp, ssim.cpp, adam.cpp). Every array is float32 and contiguous.
#pragma once

#include <cstdint>

#include "isa.h"

namespace hyperfocal {

// Mean over the valid pixels' values of (1 - ssim_weight) |rendered - target| + ssim_weight (1 - SSIM).
struct PhotometricLoss {
    int width = 0, height = 0;
    const float* rendered = nullptr;  // [h, w, 3]
    const float* target = nullptr;    // [h, w, 3]
    const uint8_t* valid = nullptr;   // [h, w] 0 or 1; null if all are
    float* gradient = nullptr;        // [h, w, 3] of the loss with respect to `rendered`; null if not wanted
    float l1_scale = 0, ssim_scale = 0;  // set by photometric_loss(): the weights over the number of valid values
};

double photometric_loss(PhotometricLoss loss, double ssim_weight, int threads);

// One step of Adam (Kingma and Ba 2015) on a matrix with one row per Gaussian.
struct AdamStep {
    int64_t rows = 0, columns = 0;
    float* parameter = nullptr;       // [rows, columns]
    const float* gradient = nullptr;  // [rows, columns]
    float* first_moment = nullptr;    // [rows, columns], or null:
    float* second_moment = nullptr;
    uint16_t* first_bfloat16 = nullptr;  // the moments in half the memory, rounded up or down at random
    uint16_t* second_bfloat16 = nullptr;
    const uint8_t* row_mask = nullptr;  // [rows] 0 leaves a row and its moments as they are; null takes all rows
    const float* learning_rates = nullptr;  // [columns], or one for all
    bool rate_per_column = false;
    int64_t step = 1;  // counted from 1
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-15;
};

void adam_step(const AdamStep& step, int threads);

// scales = exp(logs), opacities = 1 / (1 + exp(-logits)), rounded once from double.
void exp_all(int64_t count, const float* logs, float* scales, int threads);
void sigmoid_all(int64_t count, const float* logits, float* opacities, int threads);

// ---- Kernels ------------------------------------------------------------------------------------------------------

struct BandSums {
    double l1 = 0, ssim = 0;  // over the valid values of the band's rows
};

// What adam_stretch needs beside its four arrays.
struct AdamConstants {
    float blend1, keep2, blend2, epsilon;  // 1 - beta1, beta2, 1 - beta2, epsilon corrected for the bias of moment 2
    const float* rates;     // [rate_period] step sizes corrected for the bias of both moments, repeated along a stretch
    int64_t rate_period;    // a multiple of 16
    uint32_t seed;          // of the rounding of bfloat16: another for each step
};

struct LossKernels {
    // Adds up rows [begin, end) and writes their gradient. Scratch: photometric_scratch floats, 64-byte aligned.
    BandSums (*photometric_band)(const PhotometricLoss&, int begin, int end, float* scratch);
    int64_t (*photometric_scratch)(int width);
    // Steps `count` consecutive values, the first of which takes the first of the rates.
    void (*adam_stretch)(const AdamConstants&, int64_t count, float* parameter, const float* gradient,
                         float* first_moment, float* second_moment);
    // The same with moments in bfloat16; `place` is the number of the first value, which with the seed decides its rounding.
    void (*adam_stretch_bfloat16)(const AdamConstants&, int64_t count, int64_t place, float* parameter,
                                  const float* gradient, uint16_t* first_moment, uint16_t* second_moment);
    void (*exp_stretch)(int64_t count, const float* logs, float* scales);
    void (*sigmoid_stretch)(int64_t count, const float* logits, float* opacities);
};

#define HF_DECLARE_LOSS_KERNELS(isa)                                                                     \
    namespace isa {                                                                                      \
    BandSums photometric_band(const PhotometricLoss&, int, int, float*);                                 \
    int64_t photometric_scratch(int);                                                                    \
    void adam_stretch(const AdamConstants&, int64_t, float*, const float*, float*, float*);              \
    void adam_stretch_bfloat16(const AdamConstants&, int64_t, int64_t, float*, const float*, uint16_t*,  \
                               uint16_t*);                                                               \
    void exp_stretch(int64_t, const float*, float*);                                                     \
    void sigmoid_stretch(int64_t, const float*, float*);                                                 \
    constexpr LossKernels loss_kernels = {photometric_band, photometric_scratch, adam_stretch,           \
                                          adam_stretch_bfloat16, exp_stretch, sigmoid_stretch};          \
    }
HF_DECLARE_LOSS_KERNELS(isa_base)
#ifdef HYPERFOCAL_X86_LEVELS
HF_DECLARE_LOSS_KERNELS(isa_v3)
HF_DECLARE_LOSS_KERNELS(isa_v4)
#endif
#undef HF_DECLARE_LOSS_KERNELS

}  // namespace hyperfocal
