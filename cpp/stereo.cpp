#include "stereo.h"

#include <algorithm>
#include <vector>

#include "buffer.h"
#include "parallel.h"

namespace hyperfocal {
namespace {

struct StereoKernels {
    decltype(&isa_base::sweep_band) sweep_band;
    decltype(&isa_base::walk_path) walk_path;
    decltype(&isa_base::pick_plane) pick_plane;
    decltype(&isa_base::refine_row) refine_row;
};
StereoKernels kernels() {
#ifdef HYPERFOCAL_X86_LEVELS
    if (simd_level() == SimdLevel::v4) return {isa_v4::sweep_band, isa_v4::walk_path, isa_v4::pick_plane, isa_v4::refine_row};
    if (simd_level() == SimdLevel::v3) return {isa_v3::sweep_band, isa_v3::walk_path, isa_v3::pick_plane, isa_v3::refine_row};
#endif
    return {isa_base::sweep_band, isa_base::walk_path, isa_base::pick_plane, isa_base::refine_row};
}

int workers(int threads, int64_t tasks) { return int(std::clamp<int64_t>(threads, 1, std::clamp<int64_t>(tasks, 1, kMaxThreads))); }

struct Start {
    int x, y;
};

// The pixels whose predecessor along (dx, dy) is outside the picture: each starts a path, and each pixel is on one of them.
std::vector<Start> starts_of_paths(int height, int width, int dx, int dy) {
    std::vector<Start> starts;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int px = x - dx, py = y - dy;
            if (px < 0 || px >= width || py < 0 || py >= height) starts.push_back({x, y});
        }
    return starts;
}

}  // namespace

void sweep_planes(const StereoView& view, const float* inverse_depth, int planes, uint8_t* cost, int threads) {
    const int bands = (view.height + kSweepRows - 1) / kSweepRows;
    threads = workers(threads, bands);
    const int64_t each = (sweep_scratch(view) + 15) / 16 * 16;
    Buffer<float> scratch(each * threads);
    const StereoKernels use = kernels();
    parallel_for(threads, bands, [&](int64_t band, int worker) {
        const int begin = int(band) * kSweepRows, end = std::min(begin + kSweepRows, view.height);
        use.sweep_band(view, inverse_depth, planes, cost, begin, end, scratch.data() + worker * each);
    });
}

void semi_global(const float* grey, int height, int width, const uint8_t* cost, int planes, const Smoothness& smoothness,
                 float* place, float* margin, int threads) {
    const int64_t volume = int64_t(height) * width * planes;
    if (volume == 0) return;
    Buffer<int16_t> sum(volume);
    threads = workers(threads, height);
    parallel_for(threads, height, [&](int64_t y, int) {
        std::fill_n(sum.data() + y * width * planes, int64_t(width) * planes, int16_t(0));
    });
    const int64_t each = path_scratch(planes);
    Buffer<int16_t> scratch(each * threads);
    const StereoKernels use = kernels();
    const PathWalk walk{grey, cost, height, width, planes, smoothness};
    constexpr int kDirections[8][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {-1, -1}, {1, -1}, {-1, 1}};
    for (const auto& [dx, dy] : kDirections) {
        const std::vector<Start> starts = starts_of_paths(height, width, dx, dy);
        parallel_for(threads, int64_t(starts.size()), [&, dx = dx, dy = dy](int64_t i, int worker) {
            use.walk_path(walk, starts[size_t(i)].x, starts[size_t(i)].y, dx, dy, sum.data(), scratch.data() + worker * each);
        });
    }
    parallel_for(threads, height, [&](int64_t y, int) {
        use.pick_plane(sum.data() + y * width * planes, width, planes, place + y * width, margin + y * width);
    });
}

void refine_slants(const StereoView& view, const SlantSearch& search, const Slants& slants, int threads) {
    threads = workers(threads, view.height);
    const StereoKernels use = kernels();
    // Pixels of one colour of a chessboard look at those of the other only, so that their order does not matter.
    for (int round = 0; round < search.rounds; ++round)
        for (int color = 0; color < 2; ++color)
            parallel_for(threads, view.height,
                         [&](int64_t y, int) { use.refine_row(view, search, slants, int(y), round, color); });
}

}  // namespace hyperfocal
