#include "limit.h"

#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

constexpr int kVectors = kLimitPixels / kLanes;
constexpr float kLog2Cut = -7.9943534f, kMost = 0.999f, kEnd = 1e-4f;  // a cut of 1/255

// log2 alpha = log2_opacity - (a dx^2 + 2 b dx dy + c dy^2), by way of b and c times dy.
struct Footprint {
    float x, y, a, b, c, log2_opacity, red, green, blue;
};

struct Footprints {
    Footprint at[kLimitGaussians];
    Footprints() {
        // Faint and wide, so that neither the cut nor the end of a pixel ever spares a pair.
        for (int i = 0; i < kLimitGaussians; ++i) {
            const float t = float(i) / kLimitGaussians;
            at[i] = {7.0f + t, 2.0f - t, 0.002f + 0.001f * t, 0.001f, 0.002f, -5.0f - t, 0.5f, 0.4f, 0.3f * t};
        }
    }
};

struct Pixels {
    float x[kLanes], y[kVectors];
    Pixels() {
        for (int lane = 0; lane < kLanes; ++lane) x[lane] = float(lane) + 0.5f;
        for (int k = 0; k < kVectors; ++k) y[k] = float(k) + 0.5f;
    }
};

// What the pixels of one column of lanes share.
struct Columns {
    F16 dx, square, cross;
    HF_INLINE Columns(const Footprint& g, F16 x)
        : dx(x - splat(g.x)), square(fnma(splat(g.a) * dx, dx, splat(g.log2_opacity))), cross(splat(g.b) * dx) {}
    HF_INLINE F16 log2_alpha(const Footprint& g, float dy) const {
        return fnma(cross, splat(dy), square - splat(g.c * dy * dy));
    }
};

// The compiler must not see that a repetition computes what the one before it did.
HF_INLINE void forget(void* p) {
#ifdef __GNUC__
    __asm__ volatile("" : : "r"(p) : "memory");
#else
    *static_cast<volatile char*>(p);
#endif
}

}  // namespace

float limit_forward(int64_t repeats) {
    Footprints footprints;
    Pixels pixels;
    float total = 0.0f;
    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
        forget(&footprints);
        forget(&pixels);
        const F16 x = load(pixels.x);
        F16 transmittance[kVectors], red[kVectors], green[kVectors], blue[kVectors];
        HF_UNROLL for (int k = 0; k < kVectors; ++k) {
            transmittance[k] = splat(1.0f);
            red[k] = green[k] = blue[k] = splat(0.0f);
        }
        for (const Footprint& g : footprints.at) {
            const Columns columns(g, x);
            const F16 r = splat(g.red), gr = splat(g.green), b = splat(g.blue);
            HF_UNROLL for (int k = 0; k < kVectors; ++k) {
                const F16 power = columns.log2_alpha(g, pixels.y[k] - g.y);
                const M16 drawn = splat(kLog2Cut) <= power;
                const F16 alpha = min(exp2_where(drawn, power), splat(kMost));
                F16 weight = alpha * transmittance[k];
                const F16 after = transmittance[k] - weight;
                const M16 alive = splat(kEnd) < after;
                weight = zero_unless(alive, weight);
                red[k] = fma(weight, r, red[k]);
                green[k] = fma(weight, gr, green[k]);
                blue[k] = fma(weight, b, blue[k]);
                transmittance[k] = after;
            }
        }
        HF_UNROLL for (int k = 0; k < kVectors; ++k) total += sum(transmittance[k] + red[k] + green[k] + blue[k]);
    }
    return total;
}

float limit_backward(int64_t repeats) {
    Footprints footprints;
    Pixels pixels;
    struct {  // what a pass over pixels reads and writes
        alignas(64) float d_red[kVectors][kLanes], d_green[kVectors][kLanes], d_blue[kVectors][kLanes];
        float sums[kLimitGaussians][kLanes];
    } memory = {};
    for (int k = 0; k < kVectors; ++k) {
        for (int lane = 0; lane < kLanes; ++lane) {
            memory.d_red[k][lane] = 0.01f * float(lane);
            memory.d_green[k][lane] = 0.02f * float(k);
            memory.d_blue[k][lane] = 0.03f;
        }
    }
    float total = 0.0f;
    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
        forget(&footprints);
        forget(&pixels);
        forget(&memory);
        const F16 x = load(pixels.x);
        F16 transmittance[kVectors], behind[kVectors];
        HF_UNROLL for (int k = 0; k < kVectors; ++k) transmittance[k] = splat(1e-3f), behind[k] = splat(0.0f);
        for (int i = kLimitGaussians - 1; i >= 0; --i) {
            const Footprint& g = footprints.at[i];
            const Columns columns(g, x);
            const F16 zero = splat(0.0f), one = splat(1.0f);
            // Sums of: weight by colour (3), and g, g dx, g dx^2, g dy, g dx dy, g dy^2 with g = alpha dL/dalpha.
            F16 words[9] = {zero, zero, zero, zero, zero, zero, zero, zero, zero};
            HF_UNROLL for (int k = 0; k < kVectors; ++k) {
                const float dy = pixels.y[k] - g.y;
                const F16 power = columns.log2_alpha(g, dy);
                const M16 drawn = splat(kLog2Cut) <= power;
                const F16 alpha = min(exp2_where(drawn, power), splat(kMost));
                const F16 clear = reciprocal(one - alpha);
                const F16 before = transmittance[k] * clear, weight = alpha * before;
                transmittance[k] = before;
                const F16 d_red = load(memory.d_red[k]), d_green = load(memory.d_green[k]), d_blue = load(memory.d_blue[k]);
                const F16 value = fma(d_blue, splat(g.blue), fma(d_green, splat(g.green), d_red * splat(g.red)));
                words[0] = fma(weight, d_red, words[0]);
                words[1] = fma(weight, d_green, words[1]);
                words[2] = fma(weight, d_blue, words[2]);
                const F16 d_alpha = fnma_or_zero(drawn, behind[k], clear, value * before);
                behind[k] = fma(weight, value, behind[k]);
                const F16 slope = alpha * d_alpha, along = slope * columns.dx;
                words[3] += slope;
                words[4] += along;
                words[5] = fma(along, columns.dx, words[5]);
                words[6] = fma(slope, splat(dy), words[6]);
                words[7] = fma(along, splat(dy), words[7]);
                words[8] = fma(slope, splat(dy * dy), words[8]);
            }
            for (int word = 0; word < 9; ++word) memory.sums[i][word] += sum(words[word]);
        }
        total += memory.sums[repeat % kLimitGaussians][4];
    }
    return total;
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
