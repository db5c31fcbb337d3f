// Semi-global matching (Hirschmueller 2008): one straight path over the cost of all planes, and the choice of a plane.
#include "simd.h"
#include "stereo.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

constexpr int16_t kNever = 16000;  // beside the planes; sums with a penalty stay within 16 bits

HF_INLINE int16_t least(int16_t a, int16_t b) { return a < b ? a : b; }

// One pixel of a path: `now` from `before`, both padded by one plane on each side. Returns the least of `now`.
int16_t step_along(const uint8_t* cost, int planes, int16_t step, int16_t jump, int16_t best, const int16_t* before,
                   int16_t* now, int16_t* sum) {
    int16_t smallest = kNever;
    const int16_t limit = int16_t(best + jump);
    for (int d = 0; d < planes; ++d) {
        const int16_t beside = int16_t(least(before[d], before[d + 2]) + step);
        const int16_t value = int16_t(cost[d] + least(least(before[d + 1], beside), limit) - best);
        now[d + 1] = value;
        sum[d] = int16_t(sum[d] + value);
        smallest = least(smallest, value);
    }
    return smallest;
}

}  // namespace

void walk_path(const PathWalk& walk, int x, int y, int dx, int dy, int16_t* sum, int16_t* scratch) {
    const int planes = walk.planes;
    int16_t *before = scratch, *now = scratch + path_scratch(planes) / 2;
    for (int i = 0; i < planes + 2; ++i) before[i] = now[i] = i == 0 || i == planes + 1 ? kNever : int16_t(0);
    int16_t best = 0;
    float last = 0;
    for (bool first = true; x >= 0 && x < walk.width && y >= 0 && y < walk.height; x += dx, y += dy, first = false) {
        const int64_t pixel = int64_t(y) * walk.width + x;
        const float grey = walk.grey[pixel], change = grey < last ? last - grey : grey - last;
        // The first pixel of a path has none before it: whatever is added is the same for all its planes, which is 0.
        const float share = walk.smoothness.edge / (walk.smoothness.edge + change);
        int jump = int(float(walk.smoothness.jump) * share + 0.5f);
        if (jump < walk.smoothness.step) jump = walk.smoothness.step;
        if (first) jump = 0;
        best = step_along(walk.cost + pixel * planes, planes, int16_t(walk.smoothness.step), int16_t(jump), best, before,
                          now, sum + pixel * planes);
        int16_t* const swapped = before;
        before = now;
        now = swapped;
        last = grey;
    }
}

void pick_plane(const int16_t* sum, int width, int planes, float* place, float* margin) {
    for (int x = 0; x < width; ++x, sum += planes) {
        int best = 0;
        for (int d = 1; d < planes; ++d)
            if (sum[d] < sum[best]) best = d;
        int second = 8 * 2 * kUnseen;
        for (int d = 0; d < planes; ++d)
            if ((d < best - 1 || d > best + 1) && sum[d] < second) second = sum[d];
        float fraction = 0;
        if (best > 0 && best < planes - 1) {
            const int before = sum[best - 1], here = sum[best], after = sum[best + 1];
            const int bend = before - 2 * here + after;
            if (bend > 0) fraction = 0.5f * float(before - after) / float(bend);
        }
        place[x] = float(best) + fraction;
        margin[x] = float(second - sum[best]) / float(8 * int(kDearest));
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
