// Backward, per tile: Gaussian by Gaussian, front to back. Transmittance is replayed with forward's own arithmetic, so
// nothing of it need be saved, and every pixel's three image gradients fold into one number per Gaussian:
//     v = dL/dcolor . c + dL/ddepth z + dL/dalpha
//     alpha dL/dalpha_i = w v - alpha / (1 - alpha) S      with S the sum of w v of what lies behind, background included.
// S starts as the same combination of the finished image, and sheds w v as the Gaussians pass.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

struct Scratch {
    alignas(64) Plane x, y;  // pixel centres
    Plane transmittance, behind;
    Plane d_red, d_green, d_blue, d_alpha, d_depth;
    Plane spare[3];
};
static_assert(sizeof(Scratch) <= kScratchBytes);

HF_INLINE void open_tile(const ViewInputs& view, const TileGrid& grid, const ImageGradients& images, Scratch& s) {
    Plane &red = s.spare[0], &green = s.spare[1], &blue = s.spare[2];
    std::memset(s.behind, 0, sizeof(Plane));
    if (images.d_color) {
        load_planes3(grid, images.color, view.width, red, green, blue);
        load_planes3(grid, images.d_color, view.width, s.d_red, s.d_green, s.d_blue);
    } else {
        std::memset(s.d_red, 0, sizeof(Plane));
        std::memset(s.d_green, 0, sizeof(Plane));
        std::memset(s.d_blue, 0, sizeof(Plane));
    }
    for (int block = 0; block < kTileBlocks; ++block) {
        store(s.x[block], splat(float(grid.x0 + block % 8 * kBlock)) + lane_x());
        store(s.y[block], splat(float(grid.y0 + block / 8 * kBlock)) + lane_y());
        store(s.transmittance[block], inside(grid, block));
        if (!images.d_color) continue;
        F16 behind = load(s.d_red[block]) * load(red[block]);
        behind = fma(load(s.d_green[block]), load(green[block]), behind);
        store(s.behind[block], fma(load(s.d_blue[block]), load(blue[block]), behind));
    }
    if (images.d_alpha) {
        load_plane(grid, images.d_alpha, view.width, s.d_alpha);
        load_plane(grid, images.alpha, view.width, red);
        for (int block = 0; block < kTileBlocks; ++block)
            store(s.behind[block], fma(load(s.d_alpha[block]), load(red[block]), load(s.behind[block])));
    }
    if (images.d_depth_sum) {
        load_plane(grid, images.d_depth_sum, view.width, s.d_depth);
        load_plane(grid, images.depth_sum, view.width, red);
        for (int block = 0; block < kTileBlocks; ++block)
            store(s.behind[block], fma(load(s.d_depth[block]), load(red[block]), load(s.behind[block])));
    }
}

template <bool kAlpha, bool kDepth>
void replay(const TileLists& lists, int tile, const TileGrid& grid, const Slab& slab, Scratch& s) {
    const int64_t begin = lists.tile_start[tile], end = begin + lists.tile_used[tile];
    const int tile_x = grid.x0 / kTile, tile_y = grid.y0 / kTile;
    const F16 zero = splat(0.0f), one = splat(1.0f), stop = splat(kStop), most = splat(kAlphaMax);
    
    for (int64_t i = begin; i < end; ++i) {
        if (i + 12 < end) prefetch(lists.rows + lists.entries[i + 12]);
        uint64_t blocks = lists.masks[i];
        if (!blocks) continue;
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        const Splat splat_(row);
        const F16 red = splat(row.red), green = splat(row.green), blue = splat(row.blue), z = splat(row.z);
        F16 g_sum = zero, gx = zero, gy = zero, gxx = zero, gxy = zero, gyy = zero;
        F16 red_sum = zero, green_sum = zero, blue_sum = zero, depth_sum = zero;
        do {
            const int block = count_trailing_zeros(blocks);
            blocks &= blocks - 1;
            const F16 dx = load(s.x[block]) - splat_.mean_x, dy = load(s.y[block]) - splat_.mean_y;
            const F16 unclamped = splat_.alpha(dx, dy);
            const F16 alpha = min(unclamped, most);
            const F16 transmittance = load(s.transmittance[block]);
            F16 weight = transmittance * alpha;
            const F16 after = transmittance - weight;
            const M16 alive = stop < after;  // of an ended pixel, transmittance is 0 here
            weight = zero_unless(alive, weight);
            store(s.transmittance[block], zero_unless(alive, after));

            const F16 d_red = load(s.d_red[block]), d_green = load(s.d_green[block]), d_blue = load(s.d_blue[block]);
            F16 v = kAlpha ? fma(d_red, red, load(s.d_alpha[block])) : d_red * red;
            v = fma(d_green, green, v);
            v = fma(d_blue, blue, v);
            if constexpr (kDepth) v = fma(load(s.d_depth[block]), z, v);
            const F16 passed = weight * v;
            const F16 behind = load(s.behind[block]) - passed;
            store(s.behind[block], behind);

            red_sum = fma(weight, d_red, red_sum);
            green_sum = fma(weight, d_green, green_sum);
            blue_sum = fma(weight, d_blue, blue_sum);
            if constexpr (kDepth) depth_sum = fma(weight, load(s.d_depth[block]), depth_sum);

            F16 g = fnma(alpha * reciprocal(one - alpha), behind, passed);
            g = zero_unless(alive & (unclamped <= most), g);
            const F16 g_dx = g * dx, g_dy = g * dy;
            g_sum += g;
            gx += g_dx;
            gy += g_dy;
            gxx = fma(g_dx, dx, gxx);
            gxy = fma(g_dx, dy, gxy);
            gyy = fma(g_dy, dy, gyy);
        } while (blocks);
        F16 all[16] = {g_sum,   gx,        gy,       gxx,       gxy,  gyy,  red_sum, green_sum,
                       blue_sum, depth_sum, zero, zero, zero, zero, zero,    zero};
        const int64_t at = int64_t(lists.chunk_base[gaussian / kChunk]) +
                           uint32_t(row.slab_base + uint32_t(tile_y) * row.tiles_across + uint32_t(tile_x));
        stream(slab.rows + 16 * at, sums(all));
        slab.touched[at] = 1;
    }
    fence_streams();
}

}  // namespace

void undraw_tile(const ViewInputs& view, int tile, const TileLists& lists, const ImageGradients& images, const Slab& slab,
                 void* scratch) {
    if (!lists.tile_used[tile]) return;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    open_tile(view, grid, images, s);
    if (images.d_alpha) {
        images.d_depth_sum ? replay<true, true>(lists, tile, grid, slab, s)
                           : replay<true, false>(lists, tile, grid, slab, s);
    } else {
        images.d_depth_sum ? replay<false, true>(lists, tile, grid, slab, s)
                           : replay<false, false>(lists, tile, grid, slab, s);
    }
}

void weigh_tile(const ViewInputs& view, int tile, const TileLists& lists, const float* error_map, const Slab& slab,
                void* scratch) {
    if (!lists.tile_used[tile]) return;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    for (int block = 0; block < kTileBlocks; ++block) store(s.transmittance[block], inside(grid, block));
    if (error_map) {
        load_plane(grid, error_map, view.width, s.d_alpha);
    } else {
        std::memset(s.d_alpha, 0, sizeof(Plane));
    }
    const int64_t begin = lists.tile_start[tile], end = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < end; ++i) {
        uint64_t blocks = lists.masks[i];
        if (!blocks) continue;
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        const Splat splat_(row);
        F16 weight_sum = splat(0.0f), error_sum = splat(0.0f);
        for (; blocks; blocks &= blocks - 1) {
            const int block = count_trailing_zeros(blocks);
            const F16 x = splat(float(grid.x0 + block % 8 * kBlock)) + lane_x();
            const F16 y = splat(float(grid.y0 + block / 8 * kBlock)) + lane_y();
            const F16 alpha = min(splat_.alpha(x - splat_.mean_x, y - splat_.mean_y), splat(kAlphaMax));
            const F16 transmittance = load(s.transmittance[block]);
            F16 weight = transmittance * alpha;
            const F16 after = transmittance - weight;
            const M16 alive = splat(kStop) < after;
            weight = zero_unless(alive, weight);
            store(s.transmittance[block], zero_unless(alive, after));
            weight_sum += weight;
            error_sum = fma(weight, load(s.d_alpha[block]), error_sum);
        }
        const int64_t at = int64_t(lists.chunk_base[gaussian / kChunk]) +
                           uint32_t(row.slab_base + uint32_t(grid.y0 / kTile) * row.tiles_across + uint32_t(grid.x0 / kTile));
        slab.rows[16 * at] = sum(weight_sum);
        slab.rows[16 * at + 1] = sum(error_sum);
        slab.touched[at] = 1;
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
