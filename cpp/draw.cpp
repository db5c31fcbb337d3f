// Forward, per tile: masks of touched blocks, then every block front to back with its pixels in registers.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Entries are taken this many at a time: enough to amortise, few enough that a saturated tile stops early.
constexpr int kBatch = 256;
// Alphas evaluated side by side, for their latencies to overlap.
constexpr int kInterleave = kNative == 16 ? 4 : 1;

struct Scratch {
    Row rows[kBatch + 1];             // the last one is never drawn: it pads lists
    uint8_t touched[8][kBatch];       // per block row, one bit per block
    uint16_t list[kBatch + 64];       // entries of the block at hand
    alignas(64) Plane transmittance, red, green, blue, alpha, depth;
    alignas(64) int32_t median[kTileBlocks][kLanes];
    uint16_t alive[kTileBlocks];      // per block, its pixels that have not ended (an ended one keeps T above kStop)
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Copies the entries' rows and finds the blocks they touch, among those alive.
HF_INLINE void open_batch(const TileLists& lists, int64_t first, int count, const TileGrid& grid, uint64_t alive,
                          Scratch& s) {
    const uint32_t* entries = lists.entries + first;
    for (int i = 0; i < count; i += 16) {
        F16 columns[16];
        for (int k = 0; k < 16; ++k) {
            const bool real = i + k < count;
            if (i + k + 16 < count) prefetch(lists.rows + entries[i + k + 16]);
            columns[k] = real ? load(&lists.rows[entries[i + k]].mean_x_px) : splat(0.0f);
            store(&s.rows[i + k].mean_x_px, columns[k]);
            if (real) s.rows[i + k].slab_base = entries[i + k];  // not needed here; the median asks for the Gaussian
        }
        transpose(columns);
        I16 bytes[8];
        touched_blocks({columns[0], columns[1], columns[13], columns[14], columns[15]}, float(grid.x0), float(grid.y0), bytes);
        const int last = count - i < 16 ? count - i : 16;
        const M16 real = mask_of_bits((1u << last) - 1);
        I16 half[2] = {splat(int32_t(0)), splat(int32_t(0))};
        for (int r = 0; r < 8; ++r) {
            const I16 byte = select(real, bytes[r] & splat(int32_t(alive >> (8 * r) & 0xFF)), splat(int32_t(0)));
            store_bytes(s.touched[r] + i, byte);
            half[r / 4] = half[r / 4] | byte << splat(int32_t(8 * (r % 4)));
        }
        int32_t low[16], high[16];
        store(low, half[0]);
        store(high, half[1]);
        for (int k = 0; k < last; ++k)
            lists.masks[first + i + k] = uint64_t(uint32_t(high[k])) << 32 | uint32_t(low[k]);
    }
    const int padded = (count + 15) / 16 * 16, whole = (count + 63) / 64 * 64;
    for (int r = 0; r < 8; ++r) std::memset(s.touched[r] + padded, 0, size_t(whole - padded));
}

// The entries of a block, front to back, padded to a multiple of kInterleave.
HF_INLINE int list_block(Scratch& s, int block, int count) {
    int length = 0;
    for (int i = 0; i < count; i += 64) {
        uint64_t bits = bit_column(s.touched[block / 8] + i, block % 8);
        const int ones = count_ones(bits);
        // Eight at a time without asking how many there are: a wrong guess costs more than a few wasted stores.
        for (int done = 0; done < ones; done += 8) {
            HF_UNROLL for (int k = 0; k < 8; ++k) {
                s.list[length + done + k] = uint16_t(i + (bits ? count_trailing_zeros(bits) : 0));
                bits &= bits - 1;
            }
        }
        length += ones;
    }
    while (length % kInterleave) s.list[length++] = kBatch;
    return length;
}

// Draws the listed entries into one block. False when all its pixels are finished.
HF_INLINE bool draw_block(Scratch& s, int block, int length, F16 x, F16 y) {
    F16 transmittance = load(s.transmittance[block]);
    F16 red = load(s.red[block]), green = load(s.green[block]), blue = load(s.blue[block]);
    // Alpha is summed because 1 - transmittance has no digits left where alpha is small, and depth is divided by it.
    F16 alpha_sum = load(s.alpha[block]), depth = load(s.depth[block]);
    I16 median = load(s.median[block]);
    const F16 stop = splat(kStop);
    M16 alive = mask_of_bits(s.alive[block]);
    for (int i = 0; i < length; i += kInterleave) {
        F16 alpha[kInterleave];
        HF_UNROLL for (int k = 0; k < kInterleave; ++k) {
            const Row& row = s.rows[s.list[i + k]];
            const Splat splat_(row);
            alpha[k] = min(splat_.alpha(x - splat_.mean_x, y - splat_.mean_y), splat(kAlphaMax));
        }
        HF_UNROLL for (int k = 0; k < kInterleave; ++k) {
            const Row& row = s.rows[s.list[i + k]];
            F16 weight = transmittance * alpha[k];
            const F16 after = transmittance - weight;
            alive = alive & (stop < after);
            weight = zero_unless(alive, weight);
            alpha_sum += weight;
            red = fma(weight, splat(row.red), red);
            green = fma(weight, splat(row.green), green);
            blue = fma(weight, splat(row.blue), blue);
            depth = fma(weight, splat(row.z), depth);
            // The last one drawn onto more than one half; if the pixel ends below one half, it took it there.
            median = select((splat(0.0f) < weight) & (splat(0.5f) < transmittance), splat(int32_t(row.slab_base)), median);
            transmittance = select(alive, after, transmittance);
        }
        if (!any(alive)) break;
    }
    store(s.transmittance[block], transmittance);
    store(s.red[block], red);
    store(s.green[block], green);
    store(s.blue[block], blue);
    store(s.alpha[block], alpha_sum);
    store(s.depth[block], depth);
    store(s.median[block], median);
    s.alive[block] = uint16_t(bits_of(alive));
    return s.alive[block] != 0;
}

// Adds the background, looks up the median's depth, and writes the tile.
HF_INLINE void close_tile(const ViewInputs& view, const TileGrid& grid, const TileLists& lists, int tile,
                          const ViewImages& images, Scratch& s) {
    const int64_t first_pixel = int64_t(tile) * kTilePixels;
    std::memcpy(lists.transmittance + first_pixel, s.transmittance, sizeof s.transmittance);
    for (int block = 0; block < kTileBlocks; ++block) {
        const F16 transmittance = load(s.transmittance[block]);
        const I16 nobody = splat(int32_t(-1));
        const I16 median = select(splat(0.5f) < transmittance, nobody, load(s.median[block]));
        store(s.median[block], median);
        store(s.red[block], fma(transmittance, splat(view.background[0]), load(s.red[block])));
        store(s.green[block], fma(transmittance, splat(view.background[1]), load(s.green[block])));
        store(s.blue[block], fma(transmittance, splat(view.background[2]), load(s.blue[block])));
    }
    std::memcpy(lists.median + first_pixel, s.median, sizeof s.median);
    store_planes3(grid, s.red, s.green, s.blue, images.color, view.width);
    store_plane(grid, s.alpha, images.alpha, view.width);
    store_plane(grid, s.depth, images.depth_sum, view.width);
    for (int block = 0; block < kTileBlocks; ++block)
        for (int lane = 0; lane < kLanes; ++lane)
            s.depth[block][lane] = s.median[block][lane] < 0 ? 0.0f : lists.rows[s.median[block][lane]].z;
    store_plane(grid, s.depth, images.depth_median, view.width);
}

}  // namespace

void draw_tile(const ViewInputs& view, int tile, const TileLists& lists, const ViewImages& images, void* scratch) {
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];

    uint64_t alive = grid.blocks();
    for (int block = 0; block < kTileBlocks; ++block) {
        const F16 present = inside(grid, block);
        store(s.transmittance[block], present);
        s.alive[block] = uint16_t(bits_of(splat(0.5f) < present));
        store(s.median[block], splat(int32_t(-1)));
    }
    std::memset(s.red, 0, sizeof(Plane));
    std::memset(s.green, 0, sizeof(Plane));
    std::memset(s.blue, 0, sizeof(Plane));
    std::memset(s.alpha, 0, sizeof(Plane));
    std::memset(s.depth, 0, sizeof(Plane));
    store(&s.rows[kBatch].mean_x_px, splat(0.0f));
    s.rows[kBatch].log2_cut = 1.0f;  // above its log2_opacity of 0

    int64_t first = begin;
    for (; first < end && alive; first += kBatch) {
        const int count = end - first < kBatch ? int(end - first) : kBatch;
        open_batch(lists, first, count, grid, alive, s);
        for (uint64_t left = alive; left; left &= left - 1) {
            const int block = count_trailing_zeros(left);
            const int length = list_block(s, block, count);
            if (!length) continue;
            const F16 x = splat(float(grid.x0 + block % 8 * kBlock)) + lane_x();
            const F16 y = splat(float(grid.y0 + block / 8 * kBlock)) + lane_y();
            if (!draw_block(s, block, length, x, y)) alive &= ~(uint64_t(1) << block);
        }
    }
    lists.tile_used[tile] = uint32_t((first < end ? first : end) - begin);
    close_tile(view, grid, lists, tile, images, s);
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
