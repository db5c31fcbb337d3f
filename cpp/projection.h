// The EWA projection of 16 Gaussians with everything its gradient needs. One implementation for forward and backward.
#pragma once

#include "kernels.h"
#include "opacity_law.h"
#include "shuffle.h"

namespace hyperfocal::HYPERFOCAL_ISA {

// The inputs of 16 Gaussians, one lane each.
struct Group {
    F16 mean[3], quaternion[4], scale[3];
    F16 opacity, variance_px2, opacity_factor, offset_px[2];
};

// Fewer than 16 at the end of the arrays: the rest is padded with zeros.
template <int kWidth>
HF_INLINE const float* padded(const float* from, int count, float (&space)[16 * kWidth]) {
    if (count == 16) return from;
    std::memset(space, 0, sizeof space);
    std::memcpy(space, from, sizeof(float) * kWidth * size_t(count));
    return space;
}

HF_INLINE Group load_group(const ViewInputs& view, int64_t first, int count) {
    Group g;
    float space[64];
    float (&space3)[48] = reinterpret_cast<float (&)[48]>(space);
    float (&space2)[32] = reinterpret_cast<float (&)[32]>(space);
    float (&space1)[16] = reinterpret_cast<float (&)[16]>(space);
    load3(padded<3>(view.means + 3 * first, count, space3), g.mean[0], g.mean[1], g.mean[2]);
    load_columns<4>(padded<4>(view.quaternions + 4 * first, count, space), g.quaternion);
    load3(padded<3>(view.scales + 3 * first, count, space3), g.scale[0], g.scale[1], g.scale[2]);
    g.opacity = load(padded<1>(view.opacities + first, count, space1));
    g.variance_px2 =
        view.variance_px2 ? load(padded<1>(view.variance_px2 + first, count, space1)) : splat(0.0f);
    g.opacity_factor =
        view.opacity_factor ? load(padded<1>(view.opacity_factor + first, count, space1)) : splat(1.0f);
    if (view.mean_offsets_px) {
        load_columns<2>(padded<2>(view.mean_offsets_px + 2 * first, count, space2), g.offset_px);
    } else {
        g.offset_px[0] = g.offset_px[1] = splat(0.0f);
    }
    return g;
}

struct Projection {
    F16 t[3], inverse_z;            // camera space
    F16 ratio[2];                   // t_x / t_z and t_y / t_z, clamped to the frustum widened by 15 % per side
    M16 ratio_free[2];              // where the clamp did nothing
    F16 unit[4], inverse_length;    // the quaternion normalised
    F16 rotation[9];                // from it, row-major
    F16 axes[9];                    // rotation * diag(scale)
    F16 j00, j02, j11, j12;         // the Jacobian's entries that are not zero
    F16 jw[6];                      // Jacobian * world-to-camera rotation, 2 x 3
    F16 u[6];                       // jw * axes: cov2d = u u^T + blur
    F16 cov_xx, cov_xy, cov_yy, det;
    F16 own_xx, own_yy, own_det;    // without variance_px2; own_xy is cov_xy
    Kept kept;                      // of the opacity, by the law
    F16 mean_px[2];                 // from the corner of what is drawn
};

HF_INLINE F16 dot3(F16 a0, F16 b0, F16 a1, F16 b1, F16 a2, F16 b2) { return fma(a0, b0, fma(a1, b1, a2 * b2)); }

HF_INLINE void rotation_of(const F16 (&q)[4], F16 (&r)[9]) {
    const F16 w = q[0], x = q[1], y = q[2], z = q[3], one = splat(1.0f), two = splat(2.0f);
    r[0] = fnma(two, fma(y, y, z * z), one);
    r[1] = two * fnma(w, z, x * y);
    r[2] = two * fma(w, y, x * z);
    r[3] = two * fma(w, z, x * y);
    r[4] = fnma(two, fma(x, x, z * z), one);
    r[5] = two * fnma(w, x, y * z);
    r[6] = two * fnma(w, y, x * z);
    r[7] = two * fma(w, x, y * z);
    r[8] = fnma(two, fma(x, x, y * y), one);
}

HF_INLINE void to_camera(const ViewInputs& view, const Group& g, F16 (&t)[3]) {
    for (int i = 0; i < 3; ++i) {
        const float* row = view.world_to_camera + 4 * i;
        t[i] = fma(splat(row[0]), g.mean[0], fma(splat(row[1]), g.mean[1], fma(splat(row[2]), g.mean[2], splat(row[3]))));
    }
}

HF_INLINE void project(const ViewInputs& view, const Group& g, Projection& p) {
    to_camera(view, g, p.t);
    p.inverse_z = splat(1.0f) / p.t[2];

    const float size[2] = {float(view.width), float(view.image_height)};
    const float drawn_center[2] = {view.center_px[0], view.center_px[1] - float(view.first_row)};
    for (int i = 0; i < 2; ++i) {
        const float focal = view.focal_px[i], center = view.center_px[i];
        const float margin = 0.3f * (0.5f * size[i] / focal);
        const F16 low = splat(-(center / focal + margin)), high = splat((size[i] - center) / focal + margin);
        const F16 free = p.t[i] * p.inverse_z;
        p.ratio[i] = clamp(free, low, high);
        p.ratio_free[i] = (low <= free) & (free <= high);
        p.mean_px[i] = fma(splat(focal), free, splat(drawn_center[i])) + g.offset_px[i];
    }
    p.j00 = splat(view.focal_px[0]) * p.inverse_z;
    p.j11 = splat(view.focal_px[1]) * p.inverse_z;
    p.j02 = -(p.j00 * p.ratio[0]);
    p.j12 = -(p.j11 * p.ratio[1]);
    const float* w = view.world_to_camera;
    for (int j = 0; j < 3; ++j) {
        p.jw[j] = fma(p.j00, splat(w[j]), p.j02 * splat(w[8 + j]));
        p.jw[3 + j] = fma(p.j11, splat(w[4 + j]), p.j12 * splat(w[8 + j]));
    }

    const auto& q = g.quaternion;
    const F16 length2 = fma(q[0], q[0], fma(q[1], q[1], fma(q[2], q[2], q[3] * q[3])));
    p.inverse_length = splat(1.0f) / sqrt(length2);
    for (int i = 0; i < 4; ++i) p.unit[i] = q[i] * p.inverse_length;
    rotation_of(p.unit, p.rotation);
    for (int i = 0; i < 9; ++i) p.axes[i] = p.rotation[i] * g.scale[i % 3];

    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 3; ++j)
            p.u[3 * i + j] = dot3(p.jw[3 * i], p.axes[j], p.jw[3 * i + 1], p.axes[3 + j], p.jw[3 * i + 2], p.axes[6 + j]);
    const auto& u = p.u;
    const F16 blur = splat(view.low_pass_px2) + g.variance_px2;
    const F16 xx = dot3(u[0], u[0], u[1], u[1], u[2], u[2]), yy = dot3(u[3], u[3], u[4], u[4], u[5], u[5]);
    p.cov_xx = xx + blur;
    p.cov_yy = yy + blur;
    p.cov_xy = dot3(u[0], u[3], u[1], u[4], u[2], u[5]);
    // det(u u^T + blur) without the cancellation of xx yy - xy^2, which loses every digit for a long thin Gaussian.
    const F16 c0 = fnma(u[2], u[4], u[1] * u[5]), c1 = fnma(u[0], u[5], u[2] * u[3]), c2 = fnma(u[1], u[3], u[0] * u[4]);
    const F16 own = dot3(c0, c0, c1, c1, c2, c2);
    p.det = fma(blur, blur + xx + yy, own);

    if (view.opacity_law == OpacityLaw::none) {
        p.kept = {splat(1.0f), splat(1.0f), splat(0.0f)};
        return;
    }
    const F16 low_pass = splat(view.low_pass_px2);
    p.own_xx = xx + low_pass;
    p.own_yy = yy + low_pass;
    p.own_det = fma(low_pass, low_pass + xx + yy, own);
    const F16 area_ratio = sqrt(p.own_det / p.det);
    p.kept = view.opacity_law == OpacityLaw::energy ? keep_energy(area_ratio) : keep_optical_depth(g.opacity, area_ratio);
}

// The triangular root of Row: k^T k = inverse covariance * log2(e) / 2.
HF_INLINE void whitening(const Projection& p, F16& k_xx, F16& k_xy, F16& k_yy) {
    const F16 half_log2e = splat(0.7213475204444817f);
    k_yy = sqrt(half_log2e / p.cov_yy);
    k_xx = sqrt(half_log2e * p.cov_yy / p.det);
    k_xy = -(k_xx * p.cov_xy / p.cov_yy);
}

HF_INLINE M16 finite(F16 x) { return max(x, -x) <= splat(3.0e38f); }

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// The camera's centre in the world, taking the rotation to be one: -W^T p.
HF_INLINE void camera_center(const ViewInputs& view, float (&center)[3]) {
    const float* w = view.world_to_camera;
    for (int j = 0; j < 3; ++j) center[j] = -(w[j] * w[3] + w[4 + j] * w[7] + w[8 + j] * w[11]);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
