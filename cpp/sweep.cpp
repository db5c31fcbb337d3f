// Plane sweep: for each plane of equal depth, the sources as the reference would see them if all were on it, and how much
// their windows resemble the reference's (zero-mean normalised cross-correlation).
#include <math.h>

#include "simd.h"
#include "stereo.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

constexpr float kNotSeen = 2;  // dearer than any cost

HF_INLINE int least(int a, int b) { return a < b ? a : b; }
HF_INLINE int most(int a, int b) { return a > b ? a : b; }
HF_INLINE float least(float a, float b) { return a < b ? a : b; }
HF_INLINE float most(float a, float b) { return a > b ? a : b; }

// One row of the reference in a source: bilinear grey, and whether it was seen. Where it was not, grey is 0.
// `scratch` has 3 rows.
void warp_row(const StereoSource& source, float rho, int y, int width, float* grey, float* seen, float* scratch,
              int64_t pitch) {
    float *const u = scratch, *const v = scratch + pitch, *const front = scratch + 2 * pitch;
    const float* const m = source.map;
    const float row = float(y) + 0.5f;
    const float x0 = m[1] * row + m[2] + rho * source.shift[0], y0 = m[4] * row + m[5] + rho * source.shift[1],
                z0 = m[7] * row + m[8] + rho * source.shift[2];
    for (int x = 0; x < width; ++x) {
        const float column = float(x) + 0.5f, z = m[6] * column + z0, inverse = 1.0f / z;
        u[x] = (m[0] * column + x0) * inverse - 0.5f;
        v[x] = (m[3] * column + y0) * inverse - 0.5f;
        front[x] = z;
    }
    const float last_u = float(source.width - 1), last_v = float(source.height - 1);
    for (int x = 0; x < width; ++x) {
        // Written so that what is no number fails.
        if (!(front[x] > 0 && u[x] >= 0 && v[x] >= 0 && u[x] <= last_u && v[x] <= last_v)) {
            grey[x] = seen[x] = 0;
            continue;
        }
        const int left = least(int(u[x]), most(source.width - 2, 0)), top = least(int(v[x]), most(source.height - 2, 0));
        const int right = left + (source.width > 1), down = source.height > 1 ? source.width : 0;
        const float fx = u[x] - float(left), fy = v[x] - float(top);
        const float* const p = source.grey + int64_t(top) * source.width;
        const float upper = p[left] + fx * (p[right] - p[left]);
        const float lower = p[left + down] + fx * (p[right + down] - p[left + down]);
        const float value = upper + fy * (lower - upper);
        const bool known = value - value == 0;
        grey[x] = known ? value : 0.0f;
        seen[x] = known ? 1.0f : 0.0f;
    }
}

// to[x] = sum of from[x - radius ... x + radius], which has `radius` zeros on each side.
HF_INLINE void sum_along(const float* from, int width, int radius, float* to) {
    for (int x = 0; x < width; ++x) to[x] = from[x - radius];
    for (int k = 1 - radius; k <= radius; ++k)
        for (int x = 0; x < width; ++x) to[x] += from[x + k];
}

}  // namespace

void sweep_band(const StereoView& view, const float* inverse_depth, int planes, uint8_t* cost, int begin, int end,
                float* scratch) {
    const int width = view.width, radius = view.radius, sources = view.sources;
    const int from = most(0, begin - radius), to = least(view.height, end + radius), rows = to - from;
    const int64_t pitch = stereo_pitch(width);
    const auto rows_of = [&](int count) {
        float* const at = scratch;
        scratch += count * pitch;
        return at;
    };
    // Per row that a window reaches, of one source as seen from the reference: grey, its square, its product with the
    // reference's grey, and 1 where it was seen. The 4 of a row lie side by side.
    float* const warped = rows_of(4 * rows);
    // Per row of the band, of the reference's windows: mean, inverse deviation, pixels.
    float* const reference = rows_of(3 * (end - begin));
    float* const costs = rows_of(sources * (end - begin));
    float* const sums = rows_of(4);
    float* const work = rows_of(3);
    float* const column = rows_of(1);
    for (int64_t i = 0; i < pitch; ++i) column[i] = 0;
    float* const padded = column + kMaxRadius;

    for (int y = begin; y < end; ++y) {
        float *const mean = reference + 3 * (y - begin) * pitch, *const inverse = mean + pitch, *const count = inverse + pitch;
        const int top = most(0, y - radius), bottom = least(view.height, y + radius + 1);
        for (int power = 1; power <= 2; ++power) {
            for (int x = 0; x < width; ++x) padded[x] = 0;
            for (int row = top; row < bottom; ++row) {
                const float* const line = view.grey + int64_t(row) * width;
                for (int x = 0; x < width; ++x) padded[x] += power == 1 ? line[x] : line[x] * line[x];
            }
            sum_along(padded, width, radius, power == 1 ? mean : inverse);
        }
        for (int x = 0; x < width; ++x) {
            count[x] = float((bottom - top) * (least(width, x + radius + 1) - most(0, x - radius)));
            mean[x] /= count[x];
            inverse[x] = 1.0f / sqrtf(most(inverse[x] / count[x] - mean[x] * mean[x], 0.0f) + view.noise_power);
        }
    }

    for (int plane = 0; plane < planes; ++plane) {
        for (int s = 0; s < sources; ++s) {
            for (int row = from; row < to; ++row) {
                float* const grey = warped + 4 * (row - from) * pitch;
                float *const square = grey + pitch, *const product = square + pitch, *const seen = product + pitch;
                const float* const own = view.grey + int64_t(row) * width;
                warp_row(view.source[s], inverse_depth[plane], row, width, grey, seen, work, pitch);
                for (int x = 0; x < width; ++x) {
                    square[x] = grey[x] * grey[x];
                    product[x] = grey[x] * own[x];
                }
            }
            for (int y = begin; y < end; ++y) {
                const int top = most(0, y - radius), bottom = least(view.height, y + radius + 1);
                for (int k = 0; k < 4; ++k) {
                    for (int x = 0; x < width; ++x) padded[x] = 0;
                    for (int row = top; row < bottom; ++row) {
                        const float* const line = warped + (4 * (row - from) + k) * pitch;
                        for (int x = 0; x < width; ++x) padded[x] += line[x];
                    }
                    sum_along(padded, width, radius, sums + k * pitch);
                }
                const float *const grey = sums, *const square = sums + pitch, *const product = square + pitch,
                            *const seen = product + pitch;
                const float *const own_mean = reference + 3 * (y - begin) * pitch, *const own_inverse = own_mean + pitch,
                            *const count = own_inverse + pitch;
                float* const to_cost = costs + ((y - begin) * sources + s) * pitch;
                for (int x = 0; x < width; ++x) {
                    const float one = 1.0f / count[x], mean = grey[x] * one;
                    const float power = most(square[x] * one - mean * mean, 0.0f) + view.noise_power;
                    const float likeness = (product[x] * one - mean * own_mean[x]) * own_inverse[x] / sqrtf(power);
                    to_cost[x] = seen[x] == count[x] ? least(most(1.0f - likeness, 0.0f), 1.0f) : kNotSeen;
                }
            }
        }
        for (int y = begin; y < end; ++y) {
            float* const lists = costs + (y - begin) * sources * pitch;
            // The smallest first, at every pixel.
            for (int i = 1; i < sources; ++i) {
                for (int k = i; k > 0; --k) {
                    float *const a = lists + (k - 1) * pitch, *const b = lists + k * pitch;
                    for (int x = 0; x < width; ++x) {
                        const float low = least(a[x], b[x]), high = most(a[x], b[x]);
                        a[x] = low;
                        b[x] = high;
                    }
                }
            }
            uint8_t* const to = cost + int64_t(y) * width * planes + plane;
            for (int x = 0; x < width; ++x) {
                int known = 0;
                while (known < sources && lists[known * pitch + x] < kNotSeen) ++known;
                const int counted = (known + 1) / 2;
                float sum = 0;
                for (int i = 0; i < counted; ++i) sum += lists[i * pitch + x];
                to[int64_t(x) * planes] = counted ? uint8_t(sum / float(counted) * float(kDearest) + 0.5f) : kUnseen;
            }
        }
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
