// Real spherical harmonics up to degree 3 and their gradient, 16 directions at a time.
#pragma once

#include "shuffle.h"

namespace hyperfocal::HYPERFOCAL_ISA {

constexpr int kMaxSh = 16;

// The usual 3DGS constants: sqrt of rational multiples of 1 / pi, signs of the Condon-Shortley phase included.
constexpr float kSh0 = 0.28209479177387814f;
constexpr float kSh1 = 0.4886025119029199f;
constexpr float kSh2a = 1.0925484305920792f, kSh2b = 0.31539156525252005f, kSh2c = 0.5462742152960396f;
constexpr float kSh3a = 0.5900435899266435f, kSh3b = 2.890611442640554f, kSh3c = 0.4570457994644658f,
                kSh3d = 0.3731763325901154f, kSh3e = 1.445305721320277f;

// basis[k] for k < (degree + 1)^2 at the unit direction (x, y, z).
HF_INLINE void sh_basis(int degree, F16 x, F16 y, F16 z, F16 (&basis)[kMaxSh]) {
    basis[0] = splat(kSh0);
    if (degree < 1) return;
    basis[1] = splat(-kSh1) * y;
    basis[2] = splat(kSh1) * z;
    basis[3] = splat(-kSh1) * x;
    if (degree < 2) return;
    const F16 xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    basis[4] = splat(kSh2a) * xy;
    basis[5] = splat(-kSh2a) * yz;
    basis[6] = splat(kSh2b) * (zz + zz - xx - yy);
    basis[7] = splat(-kSh2a) * xz;
    basis[8] = splat(kSh2c) * (xx - yy);
    if (degree < 3) return;
    const F16 four_zz = 4.0f * zz - xx - yy;
    basis[9] = splat(-kSh3a) * y * (3.0f * xx - yy);
    basis[10] = splat(kSh3b) * xy * z;
    basis[11] = splat(-kSh3c) * y * four_zz;
    basis[12] = splat(kSh3d) * z * (zz + zz - 3.0f * (xx + yy));
    basis[13] = splat(-kSh3c) * x * four_zz;
    basis[14] = splat(kSh3e) * z * (xx - yy);
    basis[15] = splat(-kSh3a) * x * (xx - 3.0f * yy);
}

// The gradient of sum_k h[k] basis[k] by (x, y, z), before the direction's normalisation.
HF_INLINE void sh_direction_gradient(int degree, F16 x, F16 y, F16 z, const F16 (&h)[kMaxSh], F16 (&d)[3]) {
    d[0] = d[1] = d[2] = splat(0.0f);
    if (degree < 1) return;
    d[0] = splat(-kSh1) * h[3];
    d[1] = splat(-kSh1) * h[1];
    d[2] = splat(kSh1) * h[2];
    if (degree < 2) return;
    d[0] += splat(kSh2a) * (y * h[4] - z * h[7]) - splat(2 * kSh2b) * x * h[6] + splat(2 * kSh2c) * x * h[8];
    d[1] += splat(kSh2a) * (x * h[4] - z * h[5]) - splat(2 * kSh2b) * y * h[6] - splat(2 * kSh2c) * y * h[8];
    d[2] += splat(4 * kSh2b) * z * h[6] - splat(kSh2a) * (y * h[5] + x * h[7]);
    if (degree < 3) return;
    const F16 xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    const F16 h9 = splat(-kSh3a) * h[9], h10 = splat(kSh3b) * h[10], h11 = splat(-kSh3c) * h[11],
              h12 = splat(kSh3d) * h[12], h13 = splat(-kSh3c) * h[13], h14 = splat(kSh3e) * h[14],
              h15 = splat(-kSh3a) * h[15];
    d[0] += 6.0f * xy * h9 + yz * h10 - 2.0f * xy * h11 - 6.0f * xz * h12 + (4.0f * zz - 3.0f * xx - yy) * h13 +
            2.0f * xz * h14 + 3.0f * (xx - yy) * h15;
    d[1] += 3.0f * (xx - yy) * h9 + xz * h10 + (4.0f * zz - xx - 3.0f * yy) * h11 - 6.0f * yz * h12 -
            2.0f * xy * h13 - 2.0f * yz * h14 - 6.0f * xy * h15;
    d[2] += xy * h10 + 8.0f * yz * h11 + (6.0f * zz - 3.0f * (xx + yy)) * h12 + 8.0f * xz * h13 + (xx - yy) * h14;
}

HF_INLINE F16 load_partial(const float* from, int count) {
    if (count >= 16) return load(from);
#ifdef HYPERFOCAL_AVX512
    return {{NativeF(_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), from))}};
#else
    float lanes[16] = {};
    for (int i = 0; i < count; ++i) lanes[i] = from[i];
    return load(lanes);
#endif
}
HF_INLINE void store_partial(float* to, F16 x, int count) {
    if (count >= 16) return store(to, x);
    float lanes[16];
    store(lanes, x);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
}

// Element j of each of `rows` consecutive arrays of `width` floats goes to columns[j]; columns up to the next multiple of
// 16 of `used` are written.
HF_INLINE void gather_rows(const float* from, int rows, int width, int used, F16* columns) {
    for (int j = 0; j < used; j += 16) {
        F16 block[16];
        if (rows == 16 && width - j >= 16) {
            HF_UNROLL for (int i = 0; i < 16; ++i) {
                block[i] = load(from + i * width + j);
                prefetch(from + (i + 16) * width + j);  // the next 16 Gaussians'
            }
        } else {
            for (int i = 0; i < 16; ++i)
                block[i] = i < rows ? load_partial(from + i * width + j, width - j) : splat(0.0f);
        }
        transpose(block);
        HF_UNROLL for (int i = 0; i < 16; ++i) columns[j + i] = block[i];
    }
}
// The reverse; adds to what is there if told to. `columns` must be padded to a multiple of 16.
HF_INLINE void scatter_rows(float* to, int rows, int width, const F16* columns, bool accumulate) {
    const bool past_cache = !accumulate && width % 16 == 0 && reinterpret_cast<uintptr_t>(to) % 64 == 0;
    for (int j = 0; j < width; j += 16) {
        F16 block[16];
        HF_UNROLL for (int i = 0; i < 16; ++i) block[i] = columns[j + i];
        transpose(block);
        if (rows == 16 && past_cache) {
            HF_UNROLL for (int i = 0; i < 16; ++i) stream(to + i * width + j, block[i]);
            continue;
        }
        for (int i = 0; i < rows; ++i) {
            float* row = to + i * width + j;
            if (accumulate) block[i] += load_partial(row, width - j);
            store_partial(row, block[i], width - j);
        }
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
