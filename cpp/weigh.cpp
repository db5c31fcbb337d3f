// Per tile, what the blending weights of forward are good for beside its pictures: feature channels, and sums of weight
// per Gaussian. The weights are replayed from the masks, as in undraw.cpp.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Rows are asked for so many entries before they are needed.
constexpr int kAhead = 8;

struct Scratch {
    alignas(64) Plane transmittance, error;
    Plane weight;  // of one Gaussian, in the order of its blocks
    Plane features[kMaxChannels];
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Calls each(block, weights of its pixels) for a Gaussian's blocks.
template <class Each>
HF_INLINE void replay_weights(const Row& row, const TileGrid& grid, uint64_t blocks, Scratch& s, const Each& each) {
    const Splat splat_ = splat_of(row, grid);
    for (; blocks; blocks &= blocks - 1) {
        const int block = count_trailing_zeros(blocks);
        F16 u;
        M16 drawn;
        const Splat::AtRow at = splat_.at_row(load(kBlockPixels.y[block / 8]));
        const F16 alpha = min(splat_.alpha(at, load(kBlockPixels.x[block % 8]), u, drawn), splat(kAlphaMax));
        const F16 transmittance = load(s.transmittance[block]);
        const F16 weight = transmittance * alpha;
        const F16 after = transmittance - weight;
        store(s.transmittance[block], after);
        each(block, zero_unless(splat(kStop) < after, weight));
    }
}

HF_INLINE void open_tile(const TileGrid& grid, Scratch& s) {
    for (int block = 0; block < kTileBlocks; ++block) store(s.transmittance[block], inside(grid, block));
}

}  // namespace

void blend_features_tile(const ViewInputs& view, int tile, const TileLists& lists, float* features, void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    const int channels = view.channels;
    open_tile(grid, s);
    std::memset(s.features, 0, sizeof(Plane) * size_t(channels));
    const int64_t begin = lists.tile_start[tile], used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < used; ++i) {
        const uint32_t gaussian = lists.entries[i];
        const uint64_t blocks = lists.masks[i];
        int drawn = 0;
        replay_weights(lists.rows[gaussian], grid, blocks, s,
                       [&](int, F16 weight) { store(s.weight[drawn++], weight); });
        const float* values = view.features + int64_t(gaussian) * channels;
        for (int k = 0; k < channels; ++k) {
            const F16 value = splat(values[k]);
            int count = 0;
            for (uint64_t left = blocks; left; left &= left - 1, ++count) {
                float* at = s.features[k][count_trailing_zeros(left)];
                store(at, fma(load(s.weight[count]), value, load(at)));
            }
        }
    }
    for (int k = 0; k < channels; ++k) store_channel(grid, s.features[k], features, view.width, channels, k);
}

void weigh_tile(const ViewInputs& view, int tile, const TileLists& lists, const float* error_map, const EntrySums& sums,
                void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    open_tile(grid, s);
    if (error_map) load_plane(grid, error_map, view.width, s.error);
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    const int64_t used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < used; ++i) {
        if (i + kAhead < used) prefetch(lists.rows + lists.entries[i + kAhead]);
        const Row& row = lists.rows[lists.entries[i]];
        const uint64_t blocks = lists.masks[i];
        F16 weight_sum = splat(0.0f), error_sum = splat(0.0f);
        replay_weights(row, grid, blocks, s, [&](int block, F16 weight) {
            weight_sum += weight;
            if (error_map) error_sum = fma(weight, load(s.error[block]), error_sum);
        });
        sums.weight[i] = sum(weight_sum);
        if (error_map) sums.error[i] = sum(error_sum);
    }
    const size_t left = sizeof(float) * size_t(end - used);
    std::memset(sums.weight + used, 0, left);
    if (error_map) std::memset(sums.error + used, 0, left);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
