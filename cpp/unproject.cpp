// Backward, per Gaussian: sums the slab over tiles and carries the gradient through colour and projection.
#include "projection.h"
#include "sh.h"
#include "stages.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Writes (or adds) one vector per column for `count` Gaussians.
template <int kWidth>
HF_INLINE void put(float* to, int64_t first, int count, const F16 (&columns)[kWidth], bool accumulate) {
    if (!to) return;
    float* at = to + kWidth * first;
    float space[16 * kWidth];
    if constexpr (kWidth == 1) {
        store(space, columns[0]);
    } else if constexpr (kWidth == 3) {
        store3(space, columns[0], columns[1], columns[2]);
    } else {
        store_columns<kWidth>(space, columns);
    }
    if (accumulate) {
        for (int i = 0; i < kWidth * count; ++i) at[i] += space[i];
    } else {
        std::memcpy(at, space, sizeof(float) * kWidth * size_t(count));
    }
}

HF_INLINE void put_zeros(float* to, int64_t first, int count, int width, bool accumulate) {
    if (to && !accumulate) std::memset(to + first * width, 0, sizeof(float) * size_t(width) * size_t(count));
}

// Sums over the tiles of each of 16 Gaussians; columns[word]. Returns the Gaussians that have any gradient.
HF_INLINE M16 sum_slab(const Box* boxes, int count, int64_t& at, Slab slab, F16 (&columns)[16]) {
    uint32_t drawn = 0;
    for (int i = 0; i < 16; ++i) columns[i] = splat(0.0f);
    for (int i = 0; i < count; ++i) {
        const int64_t tiles = boxes[i].count();
        const float* rows = slab + 16 * at;
        F16 total = splat(0.0f);
        // Most Gaussians lie in one to four tiles. Looking at four in any case costs less than guessing how many.
        HF_UNROLL for (int k = 0; k < kSlabSlack; ++k) total += load_if(k < tiles, rows + 16 * k);
        for (int64_t k = kSlabSlack; k < tiles; ++k) total += load(rows + 16 * k);
        at += tiles;
        drawn |= uint32_t(tiles > 0) << i;
        columns[i] = total;
    }
    if (!drawn) return mask_of_bits(0);
    transpose(columns);
    M16 moved = mask_of_bits(0);
    for (int word = 0; word <= kSumDepth; ++word) moved = moved | !(columns[word] == splat(0.0f));
    return moved & mask_of_bits(drawn);
}

// Through colour = max(sh + 0.5, 0) at the direction from the camera; d_direction is by the vector before normalising.
HF_INLINE void color_backward(const ViewInputs& view, const Group& g, const float (&center)[3], int64_t first, int count,
                              M16 live, const F16 (&d_color)[3], const GaussianGradients& out, F16 (&d_direction)[3]) {
    const int used = (view.sh_degree + 1) * (view.sh_degree + 1);
    F16 coefficients[48], basis[kMaxSh];
    gather_rows(view.sh + first * 3 * view.sh_stored, count, 3 * view.sh_stored, 3 * used, coefficients);
    F16 d[3];
    for (int i = 0; i < 3; ++i) d[i] = g.mean[i] - splat(center[i]);
    const F16 inverse = splat(1.0f) / sqrt(dot3(d[0], d[0], d[1], d[1], d[2], d[2]));
    for (int i = 0; i < 3; ++i) d[i] *= inverse;
    sh_basis(view.sh_degree, d[0], d[1], d[2], basis);

    F16 d_value[3], h[kMaxSh];
    for (int c = 0; c < 3; ++c) {
        F16 value = splat(0.5f);
        for (int k = 0; k < used; ++k) value = fma(basis[k], coefficients[3 * k + c], value);
        d_value[c] = zero_unless(live & (splat(0.0f) <= value), d_color[c]);
    }
    for (int k = 0; k < used; ++k)
        h[k] = dot3(d_value[0], coefficients[3 * k], d_value[1], coefficients[3 * k + 1], d_value[2], coefficients[3 * k + 2]);
    F16 d_unit[3];
    sh_direction_gradient(view.sh_degree, d[0], d[1], d[2], h, d_unit);
    const F16 along = dot3(d_unit[0], d[0], d_unit[1], d[1], d_unit[2], d[2]);
    for (int i = 0; i < 3; ++i) d_direction[i] = zero_unless(live, inverse * fnma(d[i], along, d_unit[i]));

    if (!out.sh) return;
    for (int k = 0; k < view.sh_stored; ++k)
        for (int c = 0; c < 3; ++c)
            coefficients[3 * k + c] = k < used ? zero_unless(live, basis[k] * d_value[c]) : splat(0.0f);
    for (int j = 3 * view.sh_stored; j % 16; ++j) coefficients[j] = splat(0.0f);
    scatter_rows(out.sh + first * 3 * view.sh_stored, count, 3 * view.sh_stored, coefficients, out.accumulate);
}

// The quaternion's gradient from that of its rotation matrix, through the normalisation.
HF_INLINE void rotation_backward(const Projection& p, const F16 (&d)[9], F16 (&d_quaternion)[4]) {
    const F16 w = p.unit[0], x = p.unit[1], y = p.unit[2], z = p.unit[3], two = splat(2.0f);
    F16 u[4];
    u[0] = two * (x * (d[7] - d[5]) + y * (d[2] - d[6]) + z * (d[3] - d[1]));
    u[1] = two * (y * (d[1] + d[3]) + z * (d[2] + d[6]) + w * (d[7] - d[5]) - two * x * (d[4] + d[8]));
    u[2] = two * (x * (d[1] + d[3]) + z * (d[5] + d[7]) + w * (d[2] - d[6]) - two * y * (d[0] + d[8]));
    u[3] = two * (x * (d[2] + d[6]) + y * (d[5] + d[7]) + w * (d[3] - d[1]) - two * z * (d[0] + d[4]));
    const F16 along = w * u[0] + x * u[1] + y * u[2] + z * u[3];
    for (int i = 0; i < 4; ++i) d_quaternion[i] = p.inverse_length * fnma(p.unit[i], along, u[i]);
}

struct CameraSums {
    F16 matrix[12], focal[2], center[2], direction[3];
};

}  // namespace

void unproject_chunk(const ViewInputs& view, int64_t chunk, const Box* boxes, uint32_t slab_base, Slab slab,
                     const GaussianGradients& out, double* camera_sums) {
    const int64_t begin = chunk * kChunk, end = begin + kChunk < view.n ? begin + kChunk : view.n;
    float eye[3];
    camera_center(view, eye);
    const float* w = view.world_to_camera;
    CameraSums sums_;
    std::memset(&sums_, 0, sizeof sums_);
    int64_t at = slab_base;

    for (int64_t first = begin; first < end; first += 16) {
        const int count = end - first < 16 ? int(end - first) : 16;
        F16 s[16];
        M16 live = sum_slab(boxes + (first - begin), count, at, slab, s);
        if (!any(live)) {
            put_zeros(out.means, first, count, 3, out.accumulate_means);
            put_zeros(out.quaternions, first, count, 4, out.accumulate_quaternions);
            put_zeros(out.scales, first, count, 3, out.accumulate);
            put_zeros(out.opacities, first, count, 1, out.accumulate);
            put_zeros(out.sh, first, count, 3 * view.sh_stored, out.accumulate);
            put_zeros(out.colors, first, count, 3, out.accumulate_colors);
            put_zeros(out.variance_px2, first, count, 1, false);
            put_zeros(out.opacity_factor, first, count, 1, false);
            put_zeros(out.mean_offsets_px, first, count, 2, false);
            continue;
        }
        const Group g = load_group(view, first, count);
        Projection p;
        project(view, g, p);

        // log2 alpha = log2(opacity factor) - |w|^2 with w = K (pixel - mean), so that
        //     dL/dmean = 2 ln2 K^T sum(g w)    and    dL/dcov = 2 ln2^2 K^T sum(g w w^T) K.
        F16 k_xx, k_xy, k_yy;
        whitening(p, k_xx, k_xy, k_yy);
        F16 d_mean_px[2];
        d_mean_px[0] = zero_unless(live, splat(2.0f * kLn2) * k_xx * s[kSumU]);
        d_mean_px[1] = zero_unless(live, splat(2.0f * kLn2) * fma(k_xy, s[kSumU], k_yy * s[kSumV]));
        const F16 a00 = k_xx * s[kSumUU], a01 = fma(k_xy, s[kSumUU], k_yy * s[kSumUV]),
                  a11 = fma(k_xy, s[kSumUV], k_yy * s[kSumVV]);
        const F16 twice = splat(2.0f * kLn2 * kLn2);
        F16 d_xx = twice * k_xx * a00, d_xy = twice * k_xx * a01, d_yy = twice * fma(k_xy, a01, k_yy * a11);

        const F16 d_peak_share = s[kSumG];  // the drawn peak times the gradient by it
        const F16 d_opacity[1] = {zero_unless(live, p.kept.by_opacity * d_peak_share / g.opacity)};
        const F16 d_factor[1] = {zero_unless(live, d_peak_share / g.opacity_factor)};
        // The law's ratio of areas is sqrt(det own / det), and d(ln det) = cov^-1.
        const bool law = view.opacity_law != OpacityLaw::none;
        const F16 d_area = law ? splat(0.5f) * p.kept.by_area * d_peak_share : splat(0.0f), d_wide = d_area / p.det;
        d_xx -= d_wide * p.cov_yy;
        d_xy += d_wide * p.cov_xy;
        d_yy -= d_wide * p.cov_xx;
        const F16 d_variance[1] = {zero_unless(live, d_xx + d_yy)};
        if (law) {
            const F16 d_own = d_area / p.own_det;
            d_xx += d_own * p.own_yy;
            d_xy -= d_own * p.cov_xy;
            d_yy += d_own * p.own_xx;
        }
        put(out.opacities, first, count, d_opacity, out.accumulate);
        put(out.opacity_factor, first, count, d_factor, false);
        put(out.variance_px2, first, count, d_variance, false);
        put(out.mean_offsets_px, first, count, d_mean_px, false);

        // cov = u u^T + blur, u = (jacobian W) (R diag(scale)).
        F16 d_u[6];
        for (int j = 0; j < 3; ++j) {
            d_u[j] = splat(2.0f) * fma(d_xx, p.u[j], d_xy * p.u[3 + j]);
            d_u[3 + j] = splat(2.0f) * fma(d_xy, p.u[j], d_yy * p.u[3 + j]);
        }
        F16 d_rotation[9], d_scale[3];
        for (int j = 0; j < 3; ++j) {
            F16 total = splat(0.0f);
            for (int i = 0; i < 3; ++i) {
                const F16 d_axis = fma(p.jw[i], d_u[j], p.jw[3 + i] * d_u[3 + j]);
                total = fma(d_axis, p.rotation[3 * i + j], total);
                d_rotation[3 * i + j] = d_axis * g.scale[j];
            }
            d_scale[j] = zero_unless(live, total);
        }
        put(out.scales, first, count, d_scale, out.accumulate);
        F16 d_quaternion[4];
        rotation_backward(p, d_rotation, d_quaternion);
        for (int i = 0; i < 4; ++i) d_quaternion[i] = zero_unless(live, d_quaternion[i]);
        put(out.quaternions, first, count, d_quaternion, out.accumulate_quaternions);

        F16 d_jw[6];
        for (int r = 0; r < 2; ++r)
            for (int k = 0; k < 3; ++k)
                d_jw[3 * r + k] = dot3(d_u[3 * r], p.axes[3 * k], d_u[3 * r + 1], p.axes[3 * k + 1], d_u[3 * r + 2],
                                       p.axes[3 * k + 2]);
        F16 d_j[4];  // j00, j02, j11, j12
        d_j[0] = dot3(d_jw[0], splat(w[0]), d_jw[1], splat(w[1]), d_jw[2], splat(w[2]));
        d_j[1] = dot3(d_jw[0], splat(w[8]), d_jw[1], splat(w[9]), d_jw[2], splat(w[10]));
        d_j[2] = dot3(d_jw[3], splat(w[4]), d_jw[4], splat(w[5]), d_jw[5], splat(w[6]));
        d_j[3] = dot3(d_jw[3], splat(w[8]), d_jw[4], splat(w[9]), d_jw[5], splat(w[10]));

        // Per axis: j_diagonal = f / z; j_z = -f ratio / z; mean = f t / z + center.
        F16 d_t[3], d_focal[2], d_center[2];
        d_t[2] = s[kSumDepth];
        for (int axis = 0; axis < 2; ++axis) {
            const F16 f = splat(view.focal_px[axis]), ratio = p.ratio[axis], free = p.t[axis] * p.inverse_z;
            const F16 d_diagonal = d_j[2 * axis], d_skew = d_j[2 * axis + 1];
            const F16 d_ratio = -(f * p.inverse_z * d_skew);
            const F16 d_free = fma(d_mean_px[axis], f, zero_unless(p.ratio_free[axis], d_ratio));
            // A clamped ratio is a limit, (k size - center) / f: it moves with the camera and not with the Gaussian.
            const F16 d_limit = select(p.ratio_free[axis], splat(0.0f), d_ratio) / f;
            d_focal[axis] = fma(d_mean_px[axis], free, p.inverse_z * fnma(d_skew, ratio, d_diagonal)) - d_limit * ratio;
            d_center[axis] = d_mean_px[axis] - d_limit;
            d_t[axis] = d_free * p.inverse_z;
            d_t[2] -= p.inverse_z * (free * d_free + f * p.inverse_z * fnma(d_skew, ratio, d_diagonal));
        }
        for (int i = 0; i < 3; ++i) d_t[i] = zero_unless(live, d_t[i]);

        F16 d_mean[3];
        for (int j = 0; j < 3; ++j) d_mean[j] = dot3(splat(w[j]), d_t[0], splat(w[4 + j]), d_t[1], splat(w[8 + j]), d_t[2]);
        F16 d_color[3];
        for (int c = 0; c < 3; ++c) d_color[c] = zero_unless(live, s[kSumRed + c]);
        F16 d_direction[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
        if (view.sh) {
            color_backward(view, g, eye, first, count, live, d_color, out, d_direction);
            for (int j = 0; j < 3; ++j) d_mean[j] += d_direction[j];
        } else {
            put(out.colors, first, count, d_color, out.accumulate_colors);
        }
        put(out.means, first, count, d_mean, out.accumulate_means);

        if (!camera_sums) continue;
        F16 d_w[9];  // by the rotation: t = W m + p, and jw = J W
        for (int j = 0; j < 3; ++j) {
            d_w[j] = fma(d_t[0], g.mean[j], p.j00 * d_jw[j]);
            d_w[3 + j] = fma(d_t[1], g.mean[j], p.j11 * d_jw[3 + j]);
            d_w[6 + j] = fma(d_t[2], g.mean[j], fma(p.j02, d_jw[j], p.j12 * d_jw[3 + j]));
        }
        for (int i = 0; i < 3; ++i) {
            for (int j = 0; j < 3; ++j) sums_.matrix[4 * i + j] += zero_unless(live, d_w[3 * i + j]);
            sums_.matrix[4 * i + 3] += d_t[i];
            sums_.direction[i] += d_direction[i];
        }
        for (int axis = 0; axis < 2; ++axis) {
            sums_.focal[axis] += zero_unless(live, d_focal[axis]);
            sums_.center[axis] += zero_unless(live, d_center[axis]);
        }
    }
    fence_streams();
    if (!camera_sums) return;
    for (int i = 0; i < 12; ++i) camera_sums[kCameraMatrix + i] = sum(sums_.matrix[i]);
    for (int i = 0; i < 2; ++i) camera_sums[kCameraFocal + i] = sum(sums_.focal[i]);
    for (int i = 0; i < 2; ++i) camera_sums[kCameraCenter + i] = sum(sums_.center[i]);
    for (int i = 0; i < 3; ++i) camera_sums[kCameraDirection + i] = sum(sums_.direction[i]);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
