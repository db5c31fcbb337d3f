// What the tile kernels share: the pixels of a block, the blocks that a Gaussian touches, its alpha in a block.
#pragma once

#include "kernels.h"
#include "shuffle.h"

namespace hyperfocal::HYPERFOCAL_ISA {

constexpr float kAlphaMax = 0.999f;
constexpr float kStop = 1e-4f;  // a pixel ends before the Gaussian that would take its transmittance to this

// One value per pixel of a tile, block after block. One line longer than that: planes that follow each other would
// otherwise be 4096 bytes apart, and the values of one block would fight for the same few places of the cache.
typedef float Plane[kTileBlocks + 1][kLanes];

struct TileGrid {
    int x0, y0, columns, rows;  // first pixel, pixels inside the image
    HYPERFOCAL_INLINE TileGrid(const ViewInputs& view, int tile) {
        const int across = view.tiles_x();
        x0 = tile % across * kTile;
        y0 = tile / across * kTile;
        columns = view.width - x0 < kTile ? view.width - x0 : kTile;
        rows = view.height - y0 < kTile ? view.height - y0 : kTile;
    }
    // The blocks that hold a pixel of the image.
    HYPERFOCAL_INLINE uint64_t blocks() const {
        const uint64_t row = (1u << ((columns + kBlock - 1) / kBlock)) - 1;
        uint64_t all = 0;
        for (int r = 0; r * kBlock < rows; ++r) all |= row << (8 * r);
        return all;
    }
};

// Pixel centres of a tile's blocks, from the tile's corner.
struct BlockPixels {
    float x[8][kLanes], y[8][kLanes];  // by block column; by block row
    constexpr BlockPixels() : x(), y() {
        for (int block = 0; block < 8; ++block) {
            for (int lane = 0; lane < kLanes; ++lane) {
                x[block][lane] = float(kBlock * block + lane % kBlock) + 0.5f;
                y[block][lane] = float(kBlock * block + lane / kBlock) + 0.5f;
            }
        }
    }
};
alignas(64) static constexpr BlockPixels kBlockPixels;

// 1 where the block's pixel is in the image, else 0.
HF_INLINE F16 inside(const TileGrid& grid, int block) {
    const M16 in = (load(kBlockPixels.x[block % 8]) < splat(float(grid.columns))) &
                   (load(kBlockPixels.y[block / 8]) < splat(float(grid.rows)));
    return zero_unless(in, splat(1.0f));
}

// For 16 Gaussians, which blocks of each block row their ellipse touches: the low byte of each lane. Exact but for a
// widening of 0.002 px, and of 1e-4 of its width, against rounding.
struct Ellipses {
    F16 mean_x_px, mean_y_px, half_height_px, slope, squash;
};
HF_INLINE void touched_blocks(const Ellipses& e, float x0, float y0, I16 (&bytes)[8]) {
    const F16 slack = splat(2e-3f);
    const F16 height2 = e.half_height_px * e.half_height_px;
    // The ellipse reaches furthest right at height +top_right and furthest left at -top_right.
    const F16 top_right = e.half_height_px * e.slope / sqrt(max(fma(e.slope, e.slope, e.squash), splat(1e-30f)));
    const F16 x = e.mean_x_px - splat(x0), one = splat(1.0f), quarter = splat(0.25f), zero = splat(0.0f);
    const F16 height = e.half_height_px + slack;
    for (int r = 0; r < 8; ++r) {
        const F16 top = splat(y0 + 4.0f * r + 0.5f) - e.mean_y_px, bottom = top + splat(3.0f);
        const M16 hit = (top <= height) & (-height <= bottom);
        const F16 at_right = clamp(top_right, top, bottom), at_left = clamp(-top_right, top, bottom);
        const F16 right = x + fma(e.slope, at_right, rough_sqrt(e.squash * fnma(at_right, at_right, height2)));
        const F16 left = x + fma(e.slope, at_left, -rough_sqrt(e.squash * fnma(at_left, at_left, height2)));
        // Block column j has pixel centres 4 j + 0.5 .. 4 j + 3.5: those from `begin` up to, not including, `end`.
        const F16 end = clamp(floor((right + slack - splat(0.5f)) * quarter) + one, zero, splat(8.0f));
        const F16 begin = clamp(-floor((splat(3.5f) + slack - left) * quarter), zero, splat(8.0f));
        const I16 unit = splat(int32_t(1));
        const I16 below_end = (unit << round_to_int(end)) - unit;
        const I16 from_begin = splat(int32_t(0)) - (unit << round_to_int(begin));
        bytes[r] = select(hit, below_end & from_begin, splat(int32_t(0)));
    }
}

// What of u and v depends on the tile: u = k_xx x + (k_xy y + u0), v = k_yy y + v0 with x, y from the tile's corner.
HF_INLINE void tile_offsets(F16 mean_x, F16 mean_y, F16 k_xx, F16 k_xy, F16 k_yy, const TileGrid& grid, F16& u0,
                            F16& v0) {
    const F16 x = splat(float(grid.x0)) - mean_x, y = splat(float(grid.y0)) - mean_y;
    u0 = fma(k_xx, x, k_xy * y);
    v0 = k_yy * y;
}

// A Gaussian in a tile. Its alpha must have the same bits in forward and backward, hence the spelled-out fmas.
struct Splat {
    F16 u0, v0, k_xx, k_xy, k_yy, log2_opacity, log2_cut;

    // What all blocks of one row share.
    struct AtRow {
        F16 u, v, log2_peak;
    };
    HF_INLINE AtRow at_row(F16 y) const {
        const F16 v = fma(k_yy, y, v0);
        return {fma(k_xy, y, u0), v, fnma(v, v, log2_opacity)};
    }
    // Alpha before its clamp at kAlphaMax; 0 where it is below the cut, and so not `drawn`.
    HF_INLINE F16 alpha(const AtRow& row, F16 x, F16& u, M16& drawn) const {
        u = fma(k_xx, x, row.u);
        const F16 power = fnma(u, u, row.log2_peak);
        drawn = log2_cut <= power;
        return exp2_where(drawn, power);
    }
};
HF_INLINE Splat splat_of(const Row& row, const TileGrid& grid) {
    Splat s;
    s.k_xx = splat(row.k_xx), s.k_xy = splat(row.k_xy), s.k_yy = splat(row.k_yy);
    s.log2_opacity = splat(row.log2_opacity), s.log2_cut = splat(row.log2_cut);
    tile_offsets(splat(row.mean_x_px), splat(row.mean_y_px), s.k_xx, s.k_xy, s.k_yy, grid, s.u0, s.v0);
    return s;
}

// Where the sums of one Gaussian over one tile go.
HF_INLINE int64_t slab_row(const TileLists& lists, const TileGrid& grid, uint32_t gaussian, const Row& row) {
    const uint32_t x = uint32_t(grid.x0 / kTile), y = uint32_t(grid.y0 / kTile);
    return int64_t(lists.chunk_base[gaussian / kChunk]) + uint32_t(row.slab_base + y * row.tiles_across + x);
}

// Whether alpha may reach its clamp; spares the others the clamp.
constexpr float kLog2AlphaMax = -0.00145f;  // a little below log2(kAlphaMax)

// 16 consecutive pixels of row y, from column x on (a multiple of 16), out of a plane; and into one.
HF_INLINE F16 plane_row(const Plane& plane, int x, int y) {
    const float* from = plane[y / kBlock * 8 + x / kBlock] + y % kBlock * 4;
    return load_quads(from, from + kLanes, from + 2 * kLanes, from + 3 * kLanes);
}
HF_INLINE void set_plane_row(Plane& plane, int x, int y, F16 value) {
    float* to = plane[y / kBlock * 8 + x / kBlock] + y % kBlock * 4;
    store_quads(to, to + kLanes, to + 2 * kLanes, to + 3 * kLanes, value);
}

// A tile of an image to a plane, or three. Pixels outside the image become 0.
inline void load_plane(const TileGrid& grid, const float* image, int width, Plane& plane) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; x += kLanes) {
            F16 value = splat(0.0f);
            const int count = y < grid.rows ? grid.columns - x : 0;
            const float* from = image + int64_t(grid.y0 + y) * width + grid.x0 + x;
            if (count >= kLanes) {
                value = load(from);
            } else if (count > 0) {
                float space[kLanes] = {};
                std::memcpy(space, from, sizeof(float) * size_t(count));
                value = load(space);
            }
            set_plane_row(plane, x, y, value);
        }
    }
}
inline void load_planes3(const TileGrid& grid, const float* image, int width, Plane& red, Plane& green, Plane& blue) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; x += kLanes) {
            F16 r = splat(0.0f), g = r, b = r;
            const int count = y < grid.rows ? grid.columns - x : 0;
            const float* from = image + 3 * (int64_t(grid.y0 + y) * width + grid.x0 + x);
            if (count >= kLanes) {
                load3(from, r, g, b);
            } else if (count > 0) {
                float space[3 * kLanes] = {};
                std::memcpy(space, from, 3 * sizeof(float) * size_t(count));
                load3(space, r, g, b);
            }
            set_plane_row(red, x, y, r);
            set_plane_row(green, x, y, g);
            set_plane_row(blue, x, y, b);
        }
    }
}
// The same for one of several interleaved channels.
inline void load_channel(const TileGrid& grid, const float* image, int width, int channels, int channel, Plane& plane) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; ++x) {
            const bool in = y < grid.rows && x < grid.columns;
            plane[y / kBlock * 8 + x / kBlock][y % kBlock * kBlock + x % kBlock] =
                in ? image[(int64_t(grid.y0 + y) * width + grid.x0 + x) * channels + channel] : 0.0f;
        }
    }
}
inline void store_channel(const TileGrid& grid, const Plane& plane, float* image, int width, int channels, int channel) {
    for (int y = 0; y < grid.rows; ++y)
        for (int x = 0; x < grid.columns; ++x)
            image[(int64_t(grid.y0 + y) * width + grid.x0 + x) * channels + channel] =
                plane[y / kBlock * 8 + x / kBlock][y % kBlock * kBlock + x % kBlock];
}
inline void store_plane(const TileGrid& grid, const Plane& plane, float* image, int width) {
    for (int y = 0; y < grid.rows; ++y) {
        for (int x = 0; x < grid.columns; x += kLanes) {
            const F16 value = plane_row(plane, x, y);
            float* to = image + int64_t(grid.y0 + y) * width + grid.x0 + x;
            if (grid.columns - x >= kLanes) {
                store(to, value);
            } else {
                std::memcpy(to, &value, sizeof(float) * size_t(grid.columns - x));
            }
        }
    }
}
inline void store_planes3(const TileGrid& grid, const Plane& red, const Plane& green, const Plane& blue, float* image,
                          int width) {
    for (int y = 0; y < grid.rows; ++y) {
        for (int x = 0; x < grid.columns; x += kLanes) {
            float* to = image + 3 * (int64_t(grid.y0 + y) * width + grid.x0 + x);
            const int count = grid.columns - x;
            float space[3 * kLanes];
            store3(count >= kLanes ? to : space, plane_row(red, x, y), plane_row(green, x, y), plane_row(blue, x, y));
            if (count < kLanes) std::memcpy(to, space, 3 * sizeof(float) * size_t(count));
        }
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
