// Forward, per tile: masks of touched blocks, then every block front to back with its pixels in registers.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Entries are taken this many at a time: enough to amortise, few enough that a saturated tile stops early.
constexpr int kBatch = 256;
// Rows are asked for so many entries before they are needed.
constexpr int kAhead = 24;
// Alphas evaluated side by side, for their latencies to overlap; as many as there are registers for.
constexpr int kInterleave = kNative == 16 ? 6 : 1;

// A row as one tile sees it.
struct alignas(64) TileRow {
    float u0, v0;
    float k_xx, k_xy, k_yy, log2_opacity, log2_cut, red, green, blue, z;
    float unused[5];
};
static_assert(sizeof(TileRow) == sizeof(Row));

struct Scratch {
    TileRow rows[kBatch + 1];      // the last one is never drawn: it pads lists
    uint8_t touched[8][kBatch];    // per block row, one bit per block
    uint32_t list[kBatch + 64];    // byte offsets into rows, of the block at hand
    alignas(64) Plane transmittance, red, green, blue, alpha, depth, median;
    bool may_clamp;                // an alpha of the batch may reach kAlphaMax
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Copies the entries' rows and finds the blocks they touch, among those alive.
HF_INLINE void open_batch(const TileLists& lists, int64_t first, int count, int64_t end, const TileGrid& grid,
                          uint64_t alive, Scratch& s) {
    const uint32_t* entries = lists.entries + first;
    M16 may_clamp = mask_of_bits(0);
    for (int i = 0; i < count; i += 16) {
        F16 columns[16];
        const int last = count - i < 16 ? count - i : 16;
        for (int k = 0; k < 16; ++k) {
            if (first + i + k + kAhead < end) prefetch(lists.rows + entries[i + k + kAhead]);
            // Past the end any row will do.
            columns[k] = load(&lists.rows[entries[k < last ? i + k : i]].mean_x_px);
            store(&s.rows[i + k].u0, columns[k]);
        }
        transpose(columns);
        F16 u0, v0;
        tile_offsets(columns[0], columns[1], columns[2], columns[3], columns[4], grid, u0, v0);
        alignas(64) float u0_lanes[kLanes], v0_lanes[kLanes];
        store(u0_lanes, u0);
        store(v0_lanes, v0);
        HF_UNROLL for (int k = 0; k < 16; ++k) s.rows[i + k].u0 = u0_lanes[k], s.rows[i + k].v0 = v0_lanes[k];
        may_clamp = may_clamp | (splat(kLog2AlphaMax) < columns[5]);

        I16 bytes[8];
        touched_blocks({columns[0], columns[1], columns[13], columns[14], columns[15]}, float(grid.x0), float(grid.y0), bytes);
        const M16 real = mask_of_bits((1u << last) - 1);
        I16 half[2] = {splat(int32_t(0)), splat(int32_t(0))};
        HF_UNROLL for (int r = 0; r < 8; ++r) {
            const I16 byte = select(real, bytes[r] & splat(int32_t(alive >> (8 * r) & 0xFF)), splat(int32_t(0)));
            store_bytes(s.touched[r] + i, byte);
            half[r / 4] = half[r / 4] | byte << splat(int32_t(8 * (r % 4)));
        }
        alignas(64) int32_t low[kLanes], high[kLanes];
        store(low, half[0]);
        store(high, half[1]);
        for (int k = 0; k < last; ++k)
            lists.masks[first + i + k] = uint64_t(uint32_t(high[k])) << 32 | uint32_t(low[k]);
    }
    s.may_clamp = any(may_clamp);
    const int padded = (count + 15) / 16 * 16, whole = (count + 63) / 64 * 64;
    for (int r = 0; r < 8; ++r) std::memset(s.touched[r] + padded, 0, size_t(whole - padded));
}

// The entries of a block, front to back, padded to a multiple of kInterleave.
HF_INLINE int list_block(Scratch& s, int block, int count) {
    int length = 0;
    for (int i = 0; i < count; i += 64)
        length += list_bits(s.list + length, bit_column(s.touched[block / 8] + i, block % 8), i, sizeof(TileRow));
    HF_UNROLL for (int k = 0; k < kInterleave; ++k) s.list[length + k] = kBatch * sizeof(TileRow);
    return (length + kInterleave - 1) / kInterleave * kInterleave;
}

// Transmittance falls on after a pixel has ended, so that it alone tells who has.
struct BlockState {
    F16 transmittance, red, green, blue, alpha, depth, median;
};

// Draws entries [i, length) of the list, or until the block is dead; with kMedian, or until no pixel keeps more than half.
// Returns where it stopped.
template <bool kClamp, bool kMedian>
HF_INLINE int draw_entries(const Scratch& s, int i, int length, F16 x, F16 y, BlockState& b) {
    const char* rows = reinterpret_cast<const char*>(s.rows);
    for (; i < length; i += kInterleave) {
        F16 alpha[kInterleave];
        M16 drawn[kInterleave];
        HF_UNROLL for (int k = 0; k < kInterleave; ++k) {
            const TileRow& row = *reinterpret_cast<const TileRow*>(rows + s.list[i + k]);
            const Splat splat_ = {splat(row.u0),   splat(row.v0),           splat(row.k_xx),    splat(row.k_xy),
                                  splat(row.k_yy), splat(row.log2_opacity), splat(row.log2_cut)};
            F16 u;
            alpha[k] = splat_.alpha(splat_.at_row(y), x, u, drawn[k]);
            if constexpr (kClamp) alpha[k] = min(alpha[k], splat(kAlphaMax));
        }
        F16 weight[kInterleave], after[kInterleave];
        HF_UNROLL for (int k = 0; k < kInterleave; ++k) {
            weight[k] = (k ? after[k - 1] : b.transmittance) * alpha[k];
            after[k] = (k ? after[k - 1] : b.transmittance) - weight[k];
        }
        const M16 alive = splat(kStop) < after[kInterleave - 1];
        if (any(!alive)) {
            HF_UNROLL for (int k = 0; k < kInterleave; ++k) weight[k] = zero_unless(splat(kStop) < after[k], weight[k]);
        }
        HF_UNROLL for (int k = 0; k < kInterleave; ++k) {
            const TileRow& row = *reinterpret_cast<const TileRow*>(rows + s.list[i + k]);
            // Alpha is summed because 1 - transmittance has no digits left where it is small, and depth is divided by it.
            b.alpha += weight[k];
            b.red = fma(weight[k], splat(row.red), b.red);
            b.green = fma(weight[k], splat(row.green), b.green);
            b.blue = fma(weight[k], splat(row.blue), b.blue);
            b.depth = fma(weight[k], splat(row.z), b.depth);
            // The last one drawn onto more than one half: if the pixel ends below, it took it there. (A pixel that ends
            // here had at most kStop / (1 - kAlphaMax) = 0.1, so `alive` need not be asked.)
            if constexpr (kMedian)
                b.median = select(drawn[k] & (splat(0.5f) < (k ? after[k - 1] : b.transmittance)), splat(row.z), b.median);
        }
        b.transmittance = after[kInterleave - 1];
        if (!any(alive)) return length;
        if (kMedian && !any(splat(0.5f) < b.transmittance)) return i + kInterleave;
    }
    return i;
}

// Draws the listed entries into one block. False when all its pixels are finished.
template <bool kClamp>
HF_INLINE bool draw_block(Scratch& s, int block, int length) {
    const F16 x = load(kBlockPixels.x[block % 8]), y = load(kBlockPixels.y[block / 8]);
    BlockState b = {load(s.transmittance[block]), load(s.red[block]),   load(s.green[block]), load(s.blue[block]),
                    load(s.alpha[block]),         load(s.depth[block]), load(s.median[block])};
    int i = 0;
    if (any(splat(0.5f) < b.transmittance)) i = draw_entries<kClamp, true>(s, i, length, x, y, b);
    draw_entries<kClamp, false>(s, i, length, x, y, b);
    store(s.transmittance[block], b.transmittance);
    store(s.red[block], b.red);
    store(s.green[block], b.green);
    store(s.blue[block], b.blue);
    store(s.alpha[block], b.alpha);
    store(s.depth[block], b.depth);
    store(s.median[block], b.median);
    return any(splat(kStop) < b.transmittance);
}

// Adds the background and writes the tile.
HF_INLINE void close_tile(const ViewInputs& view, const TileGrid& grid, const TileLists& lists, int tile,
                          const ViewImages& images, Scratch& s) {
    for (int block = 0; block < kTileBlocks; ++block) {
        // Of an ended pixel, what it had left when it ended.
        F16 transmittance = load(s.transmittance[block]);
        transmittance = select(splat(kStop) < transmittance, transmittance,
                               max(splat(1.0f) - load(s.alpha[block]), splat(0.0f)));
        store(lists.transmittance + int64_t(tile) * kTilePixels + block * kLanes, transmittance);
        store(s.median[block], zero_unless(transmittance <= splat(0.5f), load(s.median[block])));
        const F16 alpha = load(s.alpha[block]);
        store(s.depth[block], zero_unless(splat(0.0f) < alpha, load(s.depth[block]) / alpha));
        store(s.red[block], fma(transmittance, splat(view.background[0]), load(s.red[block])));
        store(s.green[block], fma(transmittance, splat(view.background[1]), load(s.green[block])));
        store(s.blue[block], fma(transmittance, splat(view.background[2]), load(s.blue[block])));
    }
    store_planes3(grid, s.red, s.green, s.blue, images.color, view.width);
    store_plane(grid, s.alpha, images.alpha, view.width);
    store_plane(grid, s.depth, images.depth_expected, view.width);
    store_plane(grid, s.median, images.depth_median, view.width);
}

}  // namespace

void draw_tile(const ViewInputs& view, int tile, const TileLists& lists, const ViewImages& images, void* scratch) {
    Scratch& s = *static_cast<Scratch*>(scratch);
    const FlushDenormals flush;
    const TileGrid grid(view, tile);
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];

    for (int64_t i = begin; i < begin + kAhead && i < end; ++i) prefetch(lists.rows + lists.entries[i]);
    uint64_t alive = grid.blocks();
    for (int block = 0; block < kTileBlocks; ++block) store(s.transmittance[block], inside(grid, block));
    std::memset(s.red, 0, 6 * sizeof(Plane));  // and those after it
    store(&s.rows[kBatch].u0, splat(0.0f));
    s.rows[kBatch].log2_cut = 1.0f;  // above its log2_opacity of 0

    int64_t first = begin;
    for (; first < end && alive; first += kBatch) {
        const int count = end - first < kBatch ? int(end - first) : kBatch;
        open_batch(lists, first, count, end, grid, alive, s);
        for (uint64_t left = alive; left; left &= left - 1) {
            const int block = count_trailing_zeros(left);
            const int length = list_block(s, block, count);
            if (!length) continue;
            if (!(s.may_clamp ? draw_block<true>(s, block, length) : draw_block<false>(s, block, length)))
                alive &= ~(uint64_t(1) << block);
        }
    }
    lists.tile_used[tile] = uint32_t((first < end ? first : end) - begin);
    close_tile(view, grid, lists, tile, images, s);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
