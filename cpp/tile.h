// What the tile kernels share: the pixels of a block, the blocks that a Gaussian touches, its alpha in a block.
#pragma once

#include "kernels.h"
#include "shuffle.h"

namespace hyperfocal::HYPERFOCAL_ISA {

constexpr float kAlphaMax = 0.999f;
constexpr float kStop = 1e-4f;  // a pixel ends before the Gaussian that would take its transmittance to this

// One value per pixel of a tile, block after block.
typedef float Plane[kTileBlocks][kLanes];

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

HF_INLINE F16 lane_x() {
    static const float x[kLanes] = {.5f, 1.5f, 2.5f, 3.5f, .5f, 1.5f, 2.5f, 3.5f, .5f, 1.5f, 2.5f, 3.5f, .5f, 1.5f, 2.5f, 3.5f};
    return load(x);
}
HF_INLINE F16 lane_y() {
    static const float y[kLanes] = {.5f, .5f, .5f, .5f, 1.5f, 1.5f, 1.5f, 1.5f, 2.5f, 2.5f, 2.5f, 2.5f, 3.5f, 3.5f, 3.5f, 3.5f};
    return load(y);
}
// 1 where the block's pixel is in the image, else 0.
HF_INLINE F16 inside(const TileGrid& grid, int block) {
    const F16 right = splat(float(grid.columns - block % 8 * kBlock)), bottom = splat(float(grid.rows - block / 8 * kBlock));
    return zero_unless((lane_x() < right) & (lane_y() < bottom), splat(1.0f));
}

// For 16 Gaussians, which blocks of each block row their ellipse touches: the low byte of each lane. Exact but for a
// widening of 0.002 px against rounding.
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
        const F16 right = x + fma(e.slope, at_right, sqrt(max(e.squash * fnma(at_right, at_right, height2), zero)));
        const F16 left = x + fma(e.slope, at_left, -sqrt(max(e.squash * fnma(at_left, at_left, height2), zero)));
        // Block column j has pixel centres 4 j + 0.5 .. 4 j + 3.5: those from `begin` up to, not including, `end`.
        const F16 end = clamp(floor((right + slack - splat(0.5f)) * quarter) + one, zero, splat(8.0f));
        const F16 begin = clamp(-floor((splat(3.5f) + slack - left) * quarter), zero, splat(8.0f));
        const I16 unit = splat(int32_t(1));
        const I16 below_end = (unit << round_to_int(end)) - unit;
        const I16 from_begin = splat(int32_t(0)) - (unit << round_to_int(begin));
        bytes[r] = select(hit, below_end & from_begin, splat(int32_t(0)));
    }
}

// The fields of a row as vectors; alpha() must give the same bits in forward and backward, hence the spelled-out fmas.
struct Splat {
    F16 mean_x, mean_y, a, b, c, log2_opacity, log2_cut;
    HF_INLINE explicit Splat(const Row& row)
        : mean_x(splat(row.mean_x_px)), mean_y(splat(row.mean_y_px)), a(splat(row.a)), b(splat(row.b)), c(splat(row.c)),
          log2_opacity(splat(row.log2_opacity)), log2_cut(splat(row.log2_cut)) {}

    // Alpha before its clamp at kAlphaMax, 0 where below the cut. (dx, dy) = pixel - mean.
    HF_INLINE F16 alpha(F16 dx, F16 dy) const {
        const F16 column = fma(c * dy, dy, log2_opacity);
        const F16 power = fma(dx, fma(a, dx, b * dy), column);
        return zero_unless(log2_cut <= power, exp2(power));
    }
};

// 16 consecutive pixels of row y, from column x on (a multiple of 16), out of a plane; and into one.
HF_INLINE F16 plane_row(const Plane& plane, int x, int y) {
    float lanes[kLanes];
    const int block = y / kBlock * 8 + x / kBlock;
    HF_UNROLL for (int k = 0; k < 4; ++k) std::memcpy(lanes + 4 * k, plane[block + k] + y % kBlock * 4, 16);
    return load(lanes);
}
HF_INLINE void set_plane_row(Plane& plane, int x, int y, F16 value) {
    float lanes[kLanes];
    store(lanes, value);
    const int block = y / kBlock * 8 + x / kBlock;
    HF_UNROLL for (int k = 0; k < 4; ++k) std::memcpy(plane[block + k] + y % kBlock * 4, lanes + 4 * k, 16);
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
