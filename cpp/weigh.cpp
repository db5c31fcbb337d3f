// Per tile, what the blending weights of forward are good for beside its pictures: feature channels, and sums of weight
// per Gaussian. The weights are replayed from the masks, as in undraw.cpp.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

struct Scratch {
    alignas(64) Plane transmittance, error;
    Plane weight;  // of one Gaussian, in the order of its blocks
    Plane features[kMaxChannels];
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Leaves a Gaussian's weights in s.weight.
HF_INLINE void replay_weights(const Row& row, const TileGrid& grid, uint64_t blocks, Scratch& s) {
    const Splat splat_ = splat_of(row, grid);
    for (int count = 0; blocks; blocks &= blocks - 1, ++count) {
        const int block = count_trailing_zeros(blocks);
        F16 u;
        M16 drawn;
        const Splat::AtRow at = splat_.at_row(load(kBlockPixels.y[block / 8]));
        const F16 alpha = min(splat_.alpha(at, load(kBlockPixels.x[block % 8]), u, drawn), splat(kAlphaMax));
        const F16 transmittance = load(s.transmittance[block]);
        const F16 weight = transmittance * alpha;
        const F16 after = transmittance - weight;
        store(s.weight[count], zero_unless(splat(kStop) < after, weight));
        store(s.transmittance[block], after);
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
        replay_weights(lists.rows[gaussian], grid, blocks, s);
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

void weigh_tile(const ViewInputs& view, int tile, const TileLists& lists, const float* error_map, Slab slab,
                void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    open_tile(grid, s);
    if (error_map) load_plane(grid, error_map, view.width, s.error);
    else std::memset(s.error, 0, sizeof s.error);
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    const int64_t used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < end; ++i) {
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        const uint64_t blocks = i < used ? lists.masks[i] : 0;
        replay_weights(row, grid, blocks, s);
        F16 weight_sum = splat(0.0f), error_sum = splat(0.0f);
        int count = 0;
        for (uint64_t left = blocks; left; left &= left - 1, ++count) {
            const F16 weight = load(s.weight[count]);
            weight_sum += weight;
            error_sum = fma(weight, load(s.error[count_trailing_zeros(left)]), error_sum);
        }
        float* to = slab + 16 * slab_row(lists, grid, gaussian, row);
        to[0] = sum(weight_sum);
        to[1] = sum(error_sum);
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
