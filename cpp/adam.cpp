#include <cstring>

#include "loss.h"
#include "shuffle.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Moves both moments and returns the parameter's step.
HF_INLINE F16 step16(const AdamConstants& c, const float* rates, F16 g, F16& m, F16& v) {
    m = fma(splat(c.blend1), g - m, m);
    v = fma(splat(c.blend2) * g, g, splat(c.keep2) * v);
    return load(rates) * m / (sqrt(v) + splat(c.epsilon));
}

// 32 random bits for each of 16 places, the same whoever asks (a multiplicative hash: Knuth's constant, then Murmur3's).
HF_INLINE I16 noise_at(uint32_t seed, int64_t place) {
    static const int32_t kCount[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    I16 x = (splat(int32_t(uint32_t(place))) + load(kCount)) * splat(int32_t(0x9E3779B1u)) + splat(int32_t(seed));
    x = (x ^ shift_right(x, 16)) * splat(int32_t(0x85EBCA6Bu));
    x = (x ^ shift_right(x, 13)) * splat(int32_t(0xC2B2AE35u));
    return x ^ shift_right(x, 16);
}

HF_INLINE void step_at(const AdamConstants& c, const float* rates, int64_t, float* parameter, const float* gradient,
                       float* first_moment, float* second_moment) {
    F16 m = load(first_moment), v = load(second_moment);
    const F16 move = step16(c, rates, load(gradient), m, v);
    store(first_moment, m);
    store(second_moment, v);
    store(parameter, load(parameter) - move);
}

// Rounding to nearest would leave the second moment where it is for ever: it sinks by a thousandth a step, and its last
// digit is worth four.
HF_INLINE void step_at(const AdamConstants& c, const float* rates, int64_t place, float* parameter, const float* gradient,
                       uint16_t* first_moment, uint16_t* second_moment) {
    F16 m = load_bfloat16(first_moment), v = load_bfloat16(second_moment);
    const F16 move = step16(c, rates, load(gradient), m, v);
    const I16 noise = noise_at(c.seed, place);
    store_bfloat16(first_moment, m, noise);
    store_bfloat16(second_moment, v, shift_right(noise, 16));
    store(parameter, load(parameter) - move);
}

template <class Moment>
HF_INLINE void step_stretch(const AdamConstants& c, int64_t count, int64_t place, float* parameter,
                            const float* gradient, Moment* first_moment, Moment* second_moment) {
    int64_t i = 0, rate = 0;
    for (; i + kLanes <= count; i += kLanes) {
        step_at(c, c.rates + rate, place + i, parameter + i, gradient + i, first_moment + i, second_moment + i);
        rate += kLanes;
        if (rate == c.rate_period) rate = 0;
    }
    if (i == count) return;
    // The rest goes through the same instructions, so that a value's result does not depend on where it stands.
    const size_t left = size_t(count - i);
    float p[kLanes] = {}, g[kLanes] = {};
    Moment m[kLanes] = {}, v[kLanes] = {};
    std::memcpy(p, parameter + i, left * sizeof(float));
    std::memcpy(g, gradient + i, left * sizeof(float));
    std::memcpy(m, first_moment + i, left * sizeof(Moment));
    std::memcpy(v, second_moment + i, left * sizeof(Moment));
    step_at(c, c.rates + rate, place + i, p, g, m, v);
    std::memcpy(parameter + i, p, left * sizeof(float));
    std::memcpy(first_moment + i, m, left * sizeof(Moment));
    std::memcpy(second_moment + i, v, left * sizeof(Moment));
}

}  // namespace

void adam_stretch(const AdamConstants& c, int64_t count, float* parameter, const float* gradient, float* first_moment,
                  float* second_moment) {
    step_stretch(c, count, 0, parameter, gradient, first_moment, second_moment);
}

void adam_stretch_bfloat16(const AdamConstants& c, int64_t count, int64_t place, float* parameter, const float* gradient,
                           uint16_t* first_moment, uint16_t* second_moment) {
    step_stretch(c, count, place, parameter, gradient, first_moment, second_moment);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
