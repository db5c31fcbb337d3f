// L1 and SSIM of one band of image rows, with the gradient.
//
// In u = x + y and v = x - y (x rendered, y target) SSIM needs four blurred images, u, v, u^2 and v^2:
//     p, q = blur(u)^2 / 2, blur(v)^2 / 2        s, t = (blur(u^2) - blur(u)^2) / 2, (blur(v^2) - blur(v)^2) / 2
//     SSIM = L K,   L = (p - q + C1) / (p + q + C1),   K = (s - t + C2) / (s + t + C2)
// and its gradient three more:
//     dx = blur(blur(u) (Lp K - L Ks) + blur(v) (Lq K - L Kt)) + u blur(L Ks) + v blur(L Kt)
// with Lp the slope of L along p, and so on.
//
// Lanes. A row of 3 w floats (padded with zeros) is cut into 16 segments, and lane j of vector i holds value i of
// segment j: the pixel to the right is three vectors on, in the same lane. So both directions of the blur are sums of
// whole aligned vectors, with no shifts but at the ends of a segment, where the neighbour's first or last values are one
// lane away. Only loading the images and storing the gradient transposes.
//
// Rows. Everything moves down the band four rows at a time through rings of 16 rows, which a core's second-level cache
// holds for images up to about 1000 pixels wide.
#include <cstring>

#include "loss.h"
#include "shuffle.h"
#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;
// A Gaussian of sigma 1.5 over 11 pixels, normalised: centre first.
constexpr float kTaps[6] = {0.26601171f, 0.21300554f, 0.10936069f, 0.036000773f, 0.0075987583f, 0.0010283801f};
constexpr int kReach = 5;
constexpr int kGroup = 4;                     // outputs of one blur
constexpr int kInputs = kGroup + 2 * kReach;  // that many inputs
constexpr int kChannels = 3;
constexpr int kMargin = kReach * kChannels;   // vectors before and after a row that is blurred along itself
// Slopes start kReach rows above the band, gradients at its first row, and those of rows o ... o + 3 need the slopes of
// rows o - 5 ... o + 8: with slopes of rows p ... p + 3 come gradients from row p - 7 on.
constexpr int kLag = 3 * kGroup - kReach;
constexpr int kRing = 16;  // just enough: rows p - 7 ... p + 8 of the images, p - 12 ... p + 3 of the slopes

// Four neighbouring outputs of the blur.
HF_INLINE void blur(const F16 (&in)[kInputs], F16 (&out)[kGroup]) {
    HF_UNROLL for (int i = 0; i < kGroup; ++i) {
        F16 sum = splat(kTaps[0]) * in[i + kReach];
        HF_UNROLL for (int k = 1; k <= kReach; ++k)
            sum = fma(splat(kTaps[k]), in[i + kReach - k] + in[i + kReach + k], sum);
        out[i] = sum;
    }
}

struct Band {
    const PhotometricLoss& loss;
    int64_t vectors;  // in a row, a multiple of 12
    int begin, end;   // rows of the band
    // Rows of `vectors` vectors. Rings: u, v, and 1 where a value counts (without a mask two rows only: inside the
    // image and outside).
    float *u, *v, *counts;
    float* blurred[4];    // kGroup rows with margins: u, v, u^2, v^2 blurred down the columns
    float* slopes[3];     // one row with margins: what multiplies 1, u, v in the gradient, before its blur
    float* smoothed[3];   // rings: the same, blurred along the rows
    float* lines[3];      // u, v, counts of one row in the image's order
    double l1_sum = 0, ssim_sum = 0;

    Band(const PhotometricLoss& loss, int begin, int end, float* scratch);
    int64_t floats() const { return vectors * kLanes; }
    int64_t wide() const { return (vectors + 2 * kMargin) * kLanes; }
    float* ring(float* rows, int row) const { return rows + (row & (kRing - 1)) * floats(); }
    const float* counts_row(int row) const {
        if (loss.valid) return ring(counts, row);
        return counts + (row >= 0 && row < loss.height ? 0 : floats());
    }
    float* blurred_row(int map, int i) const { return blurred[map] + i * wide() + kMargin * kLanes; }

    void transpose_in(const float* line, float* row) const;
    void transpose_out(const float* row, float* line) const;
    void load_row(int row);
    void fill_margins(float* row) const;
    void blur_columns(int first);
    void compare_row(int row, int i);
    void blur_slopes(int row);
    void finish_rows(int first, int last);
};

int64_t row_vectors(int width) {
    // In whole groups, and no shorter than the margins (or a block of 16 vectors, to transpose).
    const int64_t segment_groups = (width + kLanes * kGroup - 1) / (kLanes * kGroup);
    return kChannels * kGroup * (segment_groups < 2 ? 2 : segment_groups);
}

Band::Band(const PhotometricLoss& loss, int begin, int end, float* scratch)
    : loss(loss), vectors(row_vectors(loss.width)), begin(begin), end(end) {
    const auto take = [&scratch](int64_t count) { return (scratch += count) - count; };
    u = take(kRing * floats());
    v = take(kRing * floats());
    counts = take(kRing * floats());
    for (float*& rows : smoothed) rows = take(kRing * floats());
    for (float*& rows : blurred) rows = take(kGroup * wide());
    for (float*& row : slopes) row = take(wide());
    for (float*& line : lines) {
        line = take(floats());
        std::memset(line, 0, floats() * sizeof(float));
    }
    if (!loss.valid) {
        for (int64_t i = 0; i < int64_t(loss.width) * kChannels; ++i) lines[2][i] = 1.0f;
        transpose_in(lines[2], counts);
        std::memset(counts + floats(), 0, floats() * sizeof(float));
    }
}

// Blocks of 16 vectors; the last one overlaps the one before where the row is no multiple of 16.
void Band::transpose_in(const float* line, float* row) const {
    for (int64_t next = 0; next < vectors; next += kLanes) {
        const int64_t i = next + kLanes <= vectors ? next : vectors - kLanes;
        F16 block[kLanes];
        for (int j = 0; j < kLanes; ++j) block[j] = load(line + j * vectors + i);
        transpose(block);
        for (int j = 0; j < kLanes; ++j) store(row + (i + j) * kLanes, block[j]);
    }
}

void Band::transpose_out(const float* row, float* line) const {
    for (int64_t next = 0; next < vectors; next += kLanes) {
        const int64_t i = next + kLanes <= vectors ? next : vectors - kLanes;
        F16 block[kLanes];
        for (int j = 0; j < kLanes; ++j) block[j] = load(row + (i + j) * kLanes);
        transpose(block);
        for (int j = 0; j < kLanes; ++j) store(line + j * vectors + i, block[j]);
    }
}

void Band::load_row(int row) {
    if (row < 0 || row >= loss.height) {
        std::memset(ring(u, row), 0, floats() * sizeof(float));
        std::memset(ring(v, row), 0, floats() * sizeof(float));
        if (loss.valid) std::memset(ring(counts, row), 0, floats() * sizeof(float));
        return;
    }
    const int64_t used = int64_t(loss.width) * kChannels;
    const float* x = loss.rendered + row * used;
    const float* y = loss.target + row * used;
    float *line_u = lines[0], *line_v = lines[1], *line_counts = lines[2];
    for (int64_t i = 0; i < used; ++i) {
        line_u[i] = x[i] + y[i];
        line_v[i] = x[i] - y[i];
    }
    if (loss.valid) {
        const uint8_t* valid = loss.valid + int64_t(row) * loss.width;
        for (int i = 0; i < loss.width; ++i)
            for (int c = 0; c < kChannels; ++c) line_counts[kChannels * i + c] = float(valid[i]);
        // Where x does not count it is taken to equal y, whatever it is (not a number, perhaps).
        for (int64_t i = 0; i < used; ++i) {
            line_u[i] = line_counts[i] > 0 ? line_u[i] : 2 * y[i];
            line_v[i] = line_counts[i] > 0 ? line_v[i] : 0.0f;
        }
        transpose_in(line_counts, ring(counts, row));
    }
    transpose_in(lines[0], ring(u, row));
    transpose_in(lines[1], ring(v, row));
}

// Continues every segment by the neighbouring one: its last values before, its first values behind. Beyond the row's
// own ends are zeros.
void Band::fill_margins(float* row) const {
    const M16 not_first = mask_of_bits(0xFFFE), not_last = mask_of_bits(0x7FFF);
    for (int i = 0; i < kMargin; ++i) {
        float* before = row + (i - kMargin) * kLanes;
        float* behind = row + floats() + i * kLanes;
        store(before, zero_unless(not_first, load(before + floats() - 1)));
        store(behind, zero_unless(not_last, load(behind - floats() + 1)));
    }
}

HF_INLINE void blur_down(const float* const (&rows)[kInputs], int64_t at, float* const (&mean)[kGroup],
                         float* const (&mean_square)[kGroup]) {
    F16 in[kInputs], out[kGroup];
    HF_UNROLL for (int k = 0; k < kInputs; ++k) in[k] = load(rows[k] + at);
    blur(in, out);
    HF_UNROLL for (int i = 0; i < kGroup; ++i) store(mean[i] + at, out[i]);
    HF_UNROLL for (int k = 0; k < kInputs; ++k) in[k] *= in[k];
    blur(in, out);
    HF_UNROLL for (int i = 0; i < kGroup; ++i) store(mean_square[i] + at, out[i]);
}

void Band::blur_columns(int first) {
    const float *u_rows[kInputs], *v_rows[kInputs];
    float* out_rows[4][kGroup];
    for (int k = 0; k < kInputs; ++k) {
        u_rows[k] = ring(u, first - kReach + k);
        v_rows[k] = ring(v, first - kReach + k);
    }
    for (int map = 0; map < 4; ++map)
        for (int i = 0; i < kGroup; ++i) out_rows[map][i] = blurred_row(map, i);
    for (int64_t at = 0; at < floats(); at += kLanes) {
        blur_down(u_rows, at, out_rows[0], out_rows[2]);
        blur_down(v_rows, at, out_rows[1], out_rows[3]);
    }
}

HF_INLINE void blur_along(const float* row, int64_t first, F16 (&out)[kGroup]) {
    F16 in[kInputs];
    HF_UNROLL for (int k = 0; k < kInputs; ++k) in[k] = load(row + (first + (k - kReach) * kChannels) * kLanes);
    blur(in, out);
}

// SSIM of row `row`, which is row i of the group, and its slopes.
void Band::compare_row(int row, int i) {
    const float* maps[4];
    for (int map = 0; map < 4; ++map) {
        fill_margins(blurred_row(map, i));
        maps[map] = blurred_row(map, i);
    }
    const float *row_counts = counts_row(row), *row_v = ring(v, row);
    float* out[3];
    for (int map = 0; map < 3; ++map) out[map] = slopes[map] + kMargin * kLanes;
    F16 l1 = splat(0.0f), ssim = splat(0.0f);
    for (int64_t block = 0; block < vectors; block += kGroup * kChannels) {
        for (int channel = 0; channel < kChannels; ++channel) {
            F16 mean_u[kGroup], mean_v[kGroup], mean_uu[kGroup], mean_vv[kGroup];
            blur_along(maps[0], block + channel, mean_u);
            blur_along(maps[1], block + channel, mean_v);
            blur_along(maps[2], block + channel, mean_uu);
            blur_along(maps[3], block + channel, mean_vv);
            HF_UNROLL for (int n = 0; n < kGroup; ++n) {
                const int64_t at = (block + channel + n * kChannels) * kLanes;
                const F16 half = splat(0.5f), two = splat(2.0f), c1 = splat(kC1), c2 = splat(kC2);
                const F16 p = half * mean_u[n] * mean_u[n], q = half * mean_v[n] * mean_v[n];
                const F16 s = fma(half, mean_uu[n], -p), t = fma(half, mean_vv[n], -q);
                const F16 below1 = p + q + c1, below2 = s + t + c2;
                const F16 inverse = splat(1.0f) / (below1 * below2);
                const F16 inverse1 = inverse * below2, inverse2 = inverse * below1;
                const F16 l = (p - q + c1) * inverse1, k = (s - t + c2) * inverse2;
                const F16 counted = load(row_counts + at);
                ssim = fma(counted, l * k, ssim);
                const F16 difference = load(row_v + at);
                l1 += max(difference, -difference);
                // 1 - l = 2 q / below1 and 1 + l = 2 (p + C1) / below1, without cancellation; k alike.
                const F16 to_p = two * counted * k * inverse1 * inverse1;
                const F16 to_s = two * counted * l * inverse2 * inverse2;
                const F16 slope_s = to_s * t, slope_t = -to_s * (s + c2);
                const F16 slope_p = to_p * q, slope_q = -to_p * (p + c1);
                store(out[0] + at, fma(mean_u[n], slope_p - slope_s, mean_v[n] * (slope_q - slope_t)));
                store(out[1] + at, slope_s);
                store(out[2] + at, slope_t);
            }
        }
    }
    if (row >= begin && row < end) {
        l1_sum += double(sum(l1));
        ssim_sum += double(sum(ssim));
    }
}

void Band::blur_slopes(int row) {
    for (int map = 0; map < 3; ++map) {
        float* from = slopes[map] + kMargin * kLanes;
        float* to = ring(smoothed[map], row);
        fill_margins(from);
        for (int64_t block = 0; block < vectors; block += kGroup * kChannels)
            for (int channel = 0; channel < kChannels; ++channel) {
                F16 out[kGroup];
                blur_along(from, block + channel, out);
                HF_UNROLL for (int n = 0; n < kGroup; ++n)
                    store(to + (block + channel + n * kChannels) * kLanes, out[n]);
            }
    }
}

// The gradient of rows [first, last), at most kGroup, from what blur_slopes left. The group's blurred rows are free by
// now and hold the gradient until it is in the image's order.
void Band::finish_rows(int first, int last) {
    const float* rows[3][kInputs];
    for (int map = 0; map < 3; ++map)
        for (int k = 0; k < kInputs; ++k) rows[map][k] = ring(smoothed[map], first - kReach + k);
    const F16 l1_scale = splat(loss.l1_scale), ssim_scale = splat(loss.ssim_scale), zero = splat(0.0f);
    for (int64_t at = 0; at < floats(); at += kLanes) {
        F16 maps[3][kGroup];
        HF_UNROLL for (int map = 0; map < 3; ++map) {
            F16 in[kInputs];
            HF_UNROLL for (int k = 0; k < kInputs; ++k) in[k] = load(rows[map][k] + at);
            blur(in, maps[map]);
        }
        HF_UNROLL for (int i = 0; i < kGroup; ++i) {
            const F16 row_u = load(ring(u, first + i) + at), row_v = load(ring(v, first + i) + at);
            const F16 slope = fma(row_v, maps[2][i], fma(row_u, maps[1][i], maps[0][i]));
            const F16 sign = zero_unless(row_v > zero, l1_scale) - zero_unless(row_v < zero, l1_scale);
            store(blurred_row(0, i) + at, load(counts_row(first + i) + at) * fnma(ssim_scale, slope, sign));
        }
    }
    const int64_t used = int64_t(loss.width) * kChannels;
    for (int row = first; row < last; ++row) {
        transpose_out(blurred_row(0, row - first), lines[0]);
        std::memcpy(loss.gradient + row * used, lines[0], used * sizeof(float));
    }
}

}  // namespace

int64_t photometric_scratch(int width) {
    const int64_t vectors = row_vectors(width);
    return (vectors * (6 * kRing + 3) + (vectors + 2 * kMargin) * (4 * kGroup + 3)) * kLanes;
}

BandSums photometric_band(const PhotometricLoss& loss, int begin, int end, float* scratch) {
    Band band(loss, begin, end, scratch);
    // The gradient of the band leans on the slopes of kReach rows around it, and comes a little later.
    const int reach = loss.gradient ? kReach : 0, lag = loss.gradient ? kLag : 0;
    int loaded = begin - reach - kReach;
    for (int first = begin - reach; first - lag < end; first += kGroup) {
        for (; loaded < first + kGroup + kReach; ++loaded) band.load_row(loaded);
        band.blur_columns(first);
        for (int i = 0; i < kGroup; ++i) {
            band.compare_row(first + i, i);
            if (loss.gradient) band.blur_slopes(first + i);
        }
        const int done = first - kLag;
        if (loss.gradient && done >= begin) band.finish_rows(done, done + kGroup < end ? done + kGroup : end);
    }
    return {band.l1_sum, band.ssim_sum};
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
