// How much of its opacity a footprint keeps when it is widened. docs/theory.md has the equations.
#pragma once

#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {

// What a law makes of 16 Gaussians: the opacity after it over that before, and the logarithmic derivatives of the opacity
// after it by the opacity before and by the ratio of areas.
struct Kept {
    F16 share, by_opacity, by_area;
};

constexpr float kBasel = 1.6449340668482264f;  // pi^2 / 6

// e^-t, for t in [0, 87].
HF_INLINE F16 exp_minus(F16 t) {
    const F16 x = splat(-1.4426950408889634f) * t;
    return exp2_where(splat(-126.0f) <= x, x);
}

// D(t) = integral of s / (e^s - 1) from 0 to t: the optical depth of a Gaussian of peak opacity 1 - e^-t summed over its
// plane, in units of 2 pi sigma^2. (It is the dilogarithm of the peak opacity.)
HF_INLINE F16 summed_depth(F16 t, F16 e) {
    const F16 t2 = t * t;
    F16 series = fma(t2, splat(1.0f / 526901760), splat(-1.0f / 10886400));
    series = fma(t2, series, splat(1.0f / 211680));
    series = fma(t2, series, splat(-1.0f / 3600));
    series = fma(t2, series, splat(1.0f / 36));
    series = t * fma(t, fma(t, series, splat(-0.25f)), splat(1.0f));
    F16 tail = splat(0.0f);
    for (int k = 6; k >= 1; --k) {
        const float inverse = 1.0f / float(k);
        tail = e * (tail + splat(inverse) * (t + splat(inverse)));
    }
    return select(t < splat(2.0f), series, splat(kBasel) - tail);
}

// D'(t) = t / (e^t - 1).
HF_INLINE F16 summed_depth_slope(F16 t, F16 e) {
    const F16 t2 = t * t;
    F16 series = fma(t2, splat(-1.0f / 1209600), splat(1.0f / 30240));
    series = fma(t2, series, splat(-1.0f / 720));
    series = fma(t2, series, splat(1.0f / 12));
    series = fma(t2, series, fma(t, splat(-0.5f), splat(1.0f)));
    return select(t < splat(1.5f), series, t * e / (splat(1.0f) - e));
}

// -ln(1 - x), without the cancellation at small x.
HF_INLINE F16 depth_of_opacity(F16 x) {
    F16 series = splat(1.0f / 8);
    for (int k = 7; k >= 1; --k) series = fma(x, series, splat(1.0f / float(k)));
    const F16 rest = max(splat(1.0f) - x, splat(1e-6f));
    return select(x < splat(0.12f), x * series, splat(-0.6931471805599453f) * log2(rest));
}

// 1 - e^-t, without the cancellation at small t.
HF_INLINE F16 opacity_of_depth(F16 t, F16 e) {
    F16 series = splat(1.0f);
    for (int k = 7; k >= 2; --k) series = fma(t * splat(-1.0f / float(k)), series, splat(1.0f));
    return select(t < splat(0.5f), t * series, splat(1.0f) - e);
}

// The energy law: the light that one Gaussian alone keeps from what is behind it stays the same.
HF_INLINE Kept keep_energy(F16 area_ratio) { return {area_ratio, splat(1.0f), splat(1.0f)}; }

// The law of optical depth: its sum over the plane stays the same, as it must where many Gaussians tile a surface.
HF_INLINE Kept keep_optical_depth(F16 opacity, F16 area_ratio) {
    const F16 t = depth_of_opacity(opacity), e = exp_minus(t);
    const F16 before = summed_depth(t, e), wanted = area_ratio * before;
    // Newton from the left of the root of a concave function: never past it.
    const F16 half = fma(splat(0.25f) * wanted, wanted, wanted);
    F16 s = max(half, t - (splat(1.0f) - area_ratio) * before / summed_depth_slope(t, e)), es = exp_minus(s);
    for (int i = 0; i < 6; ++i) {
        s = max(s - (summed_depth(s, es) - wanted) / summed_depth_slope(s, es), splat(0.0f));
        es = exp_minus(s);
    }
    return {opacity_of_depth(s, es) / opacity, area_ratio * t / s, wanted / s};
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
