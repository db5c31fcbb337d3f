#include "layers.h"

#include <algorithm>
#include <vector>

#include "buffer.h"
#include "parallel.h"

namespace hyperfocal {
namespace {

// Fixed, so that results do not depend on the number of threads. A band of differences should stay in a core's cache; when
// gathering, the rows around a band are summed again for each.
constexpr int kScatterRows = 16, kGatherRows = 64;

struct LayerKernels {
    decltype(&isa_base::scatter_band) scatter_band;
    decltype(&isa_base::gather_band) gather_band;
};
LayerKernels kernels() {
#ifdef HYPERFOCAL_X86_LEVELS
    if (simd_level() == SimdLevel::v4) return {isa_v4::scatter_band, isa_v4::gather_band};
    if (simd_level() == SimdLevel::v3) return {isa_v3::scatter_band, isa_v3::gather_band};
#endif
    return {isa_base::scatter_band, isa_base::gather_band};
}

struct Sorted {
    Buffer<LayerEntry> entries;
    std::vector<int64_t> start;
    std::vector<int32_t> reach;
    int most_reach = 0;
    LayerLists lists() const { return {entries.data(), start.data(), reach.data()}; }
};

// Calls visit(layer, entry) for each of the one or two layers that every source of one row belongs to. The second share of a source on
// a layer is 0, and is visited as well: the gradient of its place needs both sides. Levels and layers that there are not belong to no
// source; a number that is none compares as false.
template <class Visit>
void each_entry(const LayerSources& sources, const Stencils& stencils, int y, Visit&& visit) {
    const float last_level = float(stencils.intervals), last_layer = float(sources.layers - 1);
    for (int plane = 0; plane < sources.planes; ++plane) {
        const int64_t row = (int64_t(plane) * sources.height + y) * sources.width;
        for (int x = 0; x < sources.width; ++x) {
            const float level = sources.level[row + x], place = sources.layer[row + x];
            if (!(level >= 0 && level <= last_level && place >= 0 && place <= last_layer)) continue;
            const int interval = std::min(int(level), stencils.intervals - 1);
            const int layer = std::min(int(place), std::max(sources.layers - 2, 0));
            const float nearer = place - float(layer), fraction = level - float(interval);
            visit(layer, LayerEntry{plane, x, interval, fraction, 1.0f - nearer});
            if (sources.layers > 1) visit(layer + 1, LayerEntry{plane, x, interval, fraction, nearer});
        }
    }
}

Sorted sort_sources(const LayerSources& sources, const Stencils& stencils, int threads) {
    const int64_t lists = int64_t(sources.height) * sources.layers;
    Sorted sorted;
    sorted.start.assign(size_t(lists) + 1, 0);
    sorted.reach.assign(size_t(lists), -1);
    parallel_for(threads, sources.height, [&](int64_t y, int) {
        each_entry(sources, stencils, int(y), [&](int layer, const LayerEntry& entry) {
            const size_t list = size_t(y * sources.layers + layer);
            ++sorted.start[list + 1];
            sorted.reach[list] = std::max(sorted.reach[list], stencils.reach[entry.interval]);
        });
    });
    for (size_t i = 0; i < size_t(lists); ++i) {
        sorted.start[i + 1] += sorted.start[i];
        sorted.most_reach = std::max(sorted.most_reach, int(sorted.reach[i]));
    }
    sorted.entries = Buffer<LayerEntry>(std::max<int64_t>(sorted.start.back(), 1));
    std::vector<int64_t> next(sorted.start.begin(), sorted.start.end() - 1);
    parallel_for(threads, sources.height, [&](int64_t y, int) {
        each_entry(sources, stencils, int(y), [&](int layer, const LayerEntry& entry) {
            sorted.entries[next[size_t(y * sources.layers + layer)]++] = entry;
        });
    });
    return sorted;
}

}  // namespace

void draw_layers(const LayerSources& sources, const Stencils& stencils, const LayerPicture& picture, int threads) {
    const int bands = (sources.height + kScatterRows - 1) / kScatterRows;
    threads = std::clamp(threads, 1, std::clamp(bands, 1, kMaxThreads));  // a picture of no rows has no bands
    const Sorted sorted = sort_sources(sources, stencils, threads);
    const int64_t each = (scatter_scratch(sources.width, kScatterRows) + 7) / 8 * 8;
    Buffer<double> scratch(each * threads);
    const LayerKernels use = kernels();
    parallel_for(threads, bands, [&](int64_t band, int worker) {
        const int begin = int(band) * kScatterRows, end = std::min(begin + kScatterRows, sources.height);
        use.scatter_band(sources, stencils, sorted.lists(), picture, begin, end, scratch.data() + worker * each);
    });
}

void undraw_layers(const LayerSources& sources, const Stencils& stencils, const LayerPicture& picture,
                   const LayerGradients& gradients, int threads) {
    const int bands = (sources.height + kGatherRows - 1) / kGatherRows;
    threads = std::clamp(threads, 1, std::clamp(bands, 1, kMaxThreads));  // a picture of no rows has no bands
    const Sorted sorted = sort_sources(sources, stencils, threads);
    const int64_t pixels = int64_t(sources.planes) * sources.height * sources.width;
    std::fill_n(gradients.color, 3 * pixels, 0.0f);
    std::fill_n(gradients.level, pixels, 0.0f);
    std::fill_n(gradients.layer, pixels, 0.0f);
    const int reach = std::min(sorted.most_reach, sources.height);
    const int64_t each = (gather_scratch(sources.width, kGatherRows, reach) + 7) / 8 * 8;
    Buffer<double> scratch(each * threads);
    const LayerKernels use = kernels();
    parallel_for(threads, bands, [&](int64_t band, int worker) {
        const int begin = int(band) * kGatherRows, end = std::min(begin + kGatherRows, sources.height);
        use.gather_band(sources, stencils, sorted.lists(), picture, gradients, begin, end, reach,
                        scratch.data() + worker * each);
    });
}

}  // namespace hyperfocal
