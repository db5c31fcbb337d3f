#include <cstring>

#include "loss.h"
#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

HF_INLINE void step16(const AdamConstants& c, const float* rates, float* parameter, const float* gradient,
                      float* first_moment, float* second_moment) {
    const F16 g = load(gradient), old1 = load(first_moment);
    const F16 m = fma(splat(c.blend1), g - old1, old1);
    const F16 v = fma(splat(c.blend2) * g, g, splat(c.keep2) * load(second_moment));
    store(first_moment, m);
    store(second_moment, v);
    store(parameter, load(parameter) - load(rates) * m / (sqrt(v) + splat(c.epsilon)));
}

}  // namespace

void adam_stretch(const AdamConstants& c, int64_t count, float* parameter, const float* gradient, float* first_moment,
                  float* second_moment) {
    int64_t i = 0, rate = 0;
    for (; i + kLanes <= count; i += kLanes) {
        step16(c, c.rates + rate, parameter + i, gradient + i, first_moment + i, second_moment + i);
        rate += kLanes;
        if (rate == c.rate_period) rate = 0;
    }
    if (i == count) return;
    // The rest goes through the same instructions, so that a value's result does not depend on where it stands.
    const size_t bytes = size_t(count - i) * sizeof(float);
    float p[kLanes] = {}, g[kLanes] = {}, m[kLanes] = {}, v[kLanes] = {};
    std::memcpy(p, parameter + i, bytes);
    std::memcpy(g, gradient + i, bytes);
    std::memcpy(m, first_moment + i, bytes);
    std::memcpy(v, second_moment + i, bytes);
    step16(c, c.rates + rate, p, g, m, v);
    std::memcpy(parameter + i, p, bytes);
    std::memcpy(first_moment + i, m, bytes);
    std::memcpy(second_moment + i, v, bytes);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
