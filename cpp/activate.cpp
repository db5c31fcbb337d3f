// The activations of a fit, in double and rounded once: scale = exp(log), opacity = 1 / (1 + exp(-logit)).
//
// Loops over doubles that the compiler turns into vectors of whatever length.
#include <cstring>

#include "loss.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// exp(x) to about one unit in the last place; 0 or infinity as a float far outside its range.
HYPERFOCAL_INLINE double exp_of(double x) {
    x = x < -700.0 ? -700.0 : x;
    x = x > 700.0 ? 700.0 : x;
    const double magic = 6755399441055744.0;  // 1.5 * 2^52: leaves the rounded integer in the low bits
    const double shifted = x * 1.4426950408889634 + magic, n = shifted - magic;
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;  // ln 2 in two parts
    // Taylor's series: |r| <= 0.347, so the term of r^14 is 4e-18.
    double y = 1.0 / 6227020800.0;
    y = y * r + 1.0 / 479001600.0;
    y = y * r + 1.0 / 39916800.0;
    y = y * r + 1.0 / 3628800.0;
    y = y * r + 1.0 / 362880.0;
    y = y * r + 1.0 / 40320.0;
    y = y * r + 1.0 / 5040.0;
    y = y * r + 1.0 / 720.0;
    y = y * r + 1.0 / 120.0;
    y = y * r + 1.0 / 24.0;
    y = y * r + 1.0 / 6.0;
    y = y * r + 0.5;
    y = y * r + 1.0;
    y = y * r + 1.0;
    uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double power;
    std::memcpy(&power, &bits, sizeof power);
    return y * power;
}

}  // namespace

void exp_stretch(int64_t count, const float* logs, float* scales) {
    for (int64_t i = 0; i < count; ++i) scales[i] = float(exp_of(double(logs[i])));
}

void sigmoid_stretch(int64_t count, const float* logits, float* opacities) {
    for (int64_t i = 0; i < count; ++i) opacities[i] = float(1.0 / (1.0 + exp_of(-double(logits[i]))));
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
