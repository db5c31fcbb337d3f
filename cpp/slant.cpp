// Refinement of stereo: every pixel is a small plane in space, tried against its neighbours' planes and against changes of
// its own (PatchMatch: Bleyer et al. 2011; Galliani et al. 2015 for the chessboard).
#include <math.h>

#include "simd.h"
#include "stereo.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

constexpr int kMostTaps = 96;
constexpr float kUnknown = 2;

HF_INLINE float least(float a, float b) { return a < b ? a : b; }
HF_INLINE float most(float a, float b) { return a > b ? a : b; }

struct Plane {
    float inverse_depth, along_x, along_y;
};

// The samples of a window: places from its centre, weights that add up to 1, and the reference's grey with its mean taken off.
// Up to a whole vector there are more, of weight 0, at the centre.
struct Window {
    int taps = 0;
    float dx[kMostTaps], dy[kMostTaps], weight[kMostTaps], own[kMostTaps];
    float own_power = 0;
};

void look_at(const StereoView& view, const SlantSearch& search, int x, int y, Window& window) {
    const int reach = search.radius * search.stride;
    const float center = view.grey[int64_t(y) * view.width + x];
    const float per_grey = 1.0f / (search.grey_sigma * search.grey_sigma), per_place = 1.0f / float(reach * reach);
    float total = 0, mean = 0;
    int n = 0;
    for (int dy = -reach; dy <= reach; dy += search.stride) {
        if (y + dy < 0 || y + dy >= view.height) continue;
        for (int dx = -reach; dx <= reach; dx += search.stride) {
            if (x + dx < 0 || x + dx >= view.width) continue;
            const float grey = view.grey[int64_t(y + dy) * view.width + x + dx], change = grey - center;
            // Weights without an exponential, with the same curvature at 0.
            const float far = 1.0f + 0.5f * per_grey * change * change, off = 1.0f + 0.5f * per_place * float(dx * dx + dy * dy);
            const float weight = 1.0f / (far * far * off);
            window.dx[n] = float(dx);
            window.dy[n] = float(dy);
            window.weight[n] = weight;
            window.own[n] = grey;
            total += weight;
            mean += weight * grey;
            ++n;
        }
    }
    mean /= total;
    float power = 0;
    for (int i = 0; i < n; ++i) {
        window.weight[i] /= total;
        window.own[i] -= mean;
        power += window.weight[i] * window.own[i] * window.own[i];
    }
    while (n % kLanes) {
        window.dx[n] = window.dy[n] = window.weight[n] = window.own[n] = 0;
        ++n;
    }
    window.taps = n;
    window.own_power = power + view.noise_power;
}

HF_INLINE float sum_of(F16 x) {
    float lanes[kLanes], sum = 0;
    store(lanes, x);
    for (int i = 0; i < kLanes; ++i) sum += lanes[i];
    return sum;
}

// 1 - the correlation of a source's window with the reference's, in [0, 1]; kUnknown if a sample is outside.
float unlikeness(const StereoView& view, const StereoSource& source, const Window& window, float x, float y, const Plane& plane) {
    if (source.width < 2 || source.height < 2) return kUnknown;
    const float* const m = source.map;
    // Along the window everything is linear, also the inverse depth of a plane.
    F16 base[3], on_x[3], on_y[3];
    for (int k = 0; k < 3; ++k) {
        base[k] = splat(m[3 * k] * x + m[3 * k + 1] * y + m[3 * k + 2] + plane.inverse_depth * source.shift[k]);
        on_x[k] = splat(m[3 * k] + plane.along_x * source.shift[k]);
        on_y[k] = splat(m[3 * k + 1] + plane.along_y * source.shift[k]);
    }
    const F16 zero = splat(0.0f), half = splat(0.5f), one = splat(1.0f);
    const F16 last_u = splat(float(source.width - 1)), last_v = splat(float(source.height - 1));
    const F16 last_left = last_u - one, last_top = last_v - one;
    F16 means = zero, squares = zero, products = zero;
    for (int i = 0; i < window.taps; i += kLanes) {
        const F16 dx = load(window.dx + i), dy = load(window.dy + i);
        const F16 z = fma(dy, on_y[2], fma(dx, on_x[2], base[2])), inverse = one / z;
        const F16 u = fma(dy, on_y[0], fma(dx, on_x[0], base[0])) * inverse - half;
        const F16 v = fma(dy, on_y[1], fma(dx, on_x[1], base[1])) * inverse - half;
        const M16 inside = (z > zero) & (u >= zero) & (v >= zero) & (u <= last_u) & (v <= last_v);
        if (bits_of(inside) != 0xFFFF) return kUnknown;
        const F16 left = min(floor(u), last_left), top = min(floor(v), last_top), fx = u - left, fy = v - top;
        int32_t column[kLanes], row[kLanes];
        store(column, round_to_int(left));
        store(row, round_to_int(top));
        float upper_left[kLanes], upper_right[kLanes], lower_left[kLanes], lower_right[kLanes];
        for (int k = 0; k < kLanes; ++k) {
            const float* const p = source.grey + int64_t(row[k]) * source.width + column[k];
            upper_left[k] = p[0];
            upper_right[k] = p[1];
            lower_left[k] = p[source.width];
            lower_right[k] = p[source.width + 1];
        }
        const F16 a = load(upper_left), b = load(lower_left);
        const F16 upper = fma(fx, load(upper_right) - a, a), lower = fma(fx, load(lower_right) - b, b);
        const F16 value = fma(fy, lower - upper, upper), weighted = value * load(window.weight + i);
        means += weighted;
        squares = fma(weighted, value, squares);
        products = fma(weighted, load(window.own + i), products);
    }
    const float mean = sum_of(means), power = most(sum_of(squares) - mean * mean, 0.0f) + view.noise_power;
    const float likeness = sum_of(products) / sqrtf(power * window.own_power);
    if (!(likeness - likeness == 0)) return kUnknown;
    return least(most(1.0f - likeness, 0.0f), 1.0f);
}

// The cost of a plane, and which sources it is of: `picked` if that is not empty, else the better half of those that see it.
float cost_of(const StereoView& view, const SlantSearch& search, const Window& window, int x, int y, float anchor,
              const Plane& plane, uint32_t& picked) {
    float costs[kMaxSources];
    int from[kMaxSources], known = 0;
    const bool picks = picked == 0;
    for (int s = 0; s < view.sources; ++s) {
        if (!picks && !(picked >> s & 1)) continue;
        const float cost = unlikeness(view, view.source[s], window, float(x) + 0.5f, float(y) + 0.5f, plane);
        if (cost >= kUnknown) continue;
        int k = known++;
        for (; k > 0 && costs[k - 1] > cost; --k) costs[k] = costs[k - 1], from[k] = from[k - 1];
        costs[k] = cost;
        from[k] = s;
    }
    if (known == 0) return kUnknown;
    const int counted = picks ? (known + 1) / 2 : known;
    float sum = 0;
    for (int i = 0; i < counted; ++i) {
        sum += costs[i];
        picked |= 1u << from[i];
    }
    const float away = fabsf(plane.inverse_depth - anchor) / search.spacing;
    return sum / float(counted) + search.anchor_weight * least(away, 2.0f);
}

// A number in [-1, 1] that depends on nothing but its arguments.
float scatter(uint32_t x, uint32_t y, uint32_t round, uint32_t salt) {
    uint32_t h = x * 0x9E3779B1u ^ y * 0x85EBCA77u ^ round * 0xC2B2AE3Du ^ salt * 0x27D4EB2Fu;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    h ^= h >> 12;
    h *= 0x297A2D39u;
    h ^= h >> 15;
    return float(h >> 8) * (2.0f / 16777216.0f) - 1.0f;
}

}  // namespace

void refine_row(const StereoView& view, const SlantSearch& search, const Slants& slants, int y, int round, int color) {
    Window window;
    constexpr int kBeside[8][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-5, 0}, {5, 0}, {0, -5}, {0, 5}};
    for (int x = (y + color) % 2; x < view.width; x += 2) {
        const int64_t pixel = int64_t(y) * view.width + x;
        const float anchor = search.anchor[pixel];
        look_at(view, search, x, y, window);
        Plane best{slants.inverse_depth[pixel], slants.along_x[pixel], slants.along_y[pixel]};
        uint32_t picked = 0;
        float cost = cost_of(view, search, window, x, y, anchor, best, picked);
        const auto attempt = [&](const Plane& plane) {
            if (!(plane.inverse_depth > 0)) return kUnknown;
            const float other = cost_of(view, search, window, x, y, anchor, plane, picked);
            if (other < cost) cost = other, best = plane;
            return other;
        };
        // The planes of pixels of the other colour, continued to here: far ones at first.
        for (int k = 0; k < (round == 0 ? 8 : 4); ++k) {
            const int dx = kBeside[k][0], dy = kBeside[k][1], px = x + dx, py = y + dy;
            if (px < 0 || px >= view.width || py < 0 || py >= view.height) continue;
            const int64_t other = int64_t(py) * view.width + px;
            const float ax = slants.along_x[other], ay = slants.along_y[other];
            attempt({slants.inverse_depth[other] - float(dx) * ax - float(dy) * ay, ax, ay});
        }
        // Smaller and smaller changes: of depth both ways and to the lowest point of a parabola, of slope at random.
        const float reach = search.spacing * 0.5f / float(1 << round);
        const Plane middle = best;
        const float here = cost;
        const float nearer = attempt({middle.inverse_depth + reach, middle.along_x, middle.along_y});
        const float farther = attempt({middle.inverse_depth - reach, middle.along_x, middle.along_y});
        const float bend = nearer - 2 * here + farther;
        if (nearer < kUnknown && farther < kUnknown && here < kUnknown && bend > 0) {
            const float step = least(most(0.5f * (farther - nearer) / bend, -2.0f), 2.0f);
            attempt({middle.inverse_depth + step * reach, middle.along_x, middle.along_y});
        }
        const float tilt = reach / float(search.radius * search.stride);
        const Plane now = best;
        attempt({now.inverse_depth, now.along_x + tilt * scatter(x, y, round, 2), now.along_y + tilt * scatter(x, y, round, 3)});
        slants.inverse_depth[pixel] = best.inverse_depth;
        slants.along_x[pixel] = best.along_x;
        slants.along_y[pixel] = best.along_y;
        slants.cost[pixel] = cost;
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
