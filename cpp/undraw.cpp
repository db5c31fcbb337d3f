// Backward, per tile: Gaussian by Gaussian, front to back. Transmittance is replayed with forward's own arithmetic, so
// nothing of it need be saved, and every pixel's image gradients fold into one number per Gaussian:
//     v = dL/dcolor . c + dL/ddepth z + dL/dalpha
//     alpha dL/dalpha_i = w v - alpha / (1 - alpha) S      with S the sum of w v of what lies behind, background included.
// S starts as the same combination of the finished image, and sheds w v as the Gaussians pass.
#include "stages.h"
#include "tile.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

struct Scratch {
    alignas(64) Plane transmittance, behind;
    Plane d_red, d_green, d_blue, d_alpha, d_depth, d_median;
    Plane spare[3];
    Plane alpha, u;  // of one Gaussian, in the order of its blocks
    float v[8][kLanes];
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Which image gradients there are: a kernel for each case, as those in no need of a term should not pay for it.
enum Terms { kColor, kColorAlpha, kAll };

HF_INLINE void clear(Plane& plane) { std::memset(plane, 0, sizeof plane); }

// behind += image * gradient
HF_INLINE void add_product(Plane& behind, const Plane& image, const Plane& gradient) {
    for (int block = 0; block < kTileBlocks; ++block)
        store(behind[block], fma(load(image[block]), load(gradient[block]), load(behind[block])));
}

HF_INLINE Terms open_tile(const ViewInputs& view, const TileGrid& grid, const ImageGradients& images, Scratch& s) {
    const int width = view.width;
    clear(s.behind);
    for (int block = 0; block < kTileBlocks; ++block) store(s.transmittance[block], inside(grid, block));
    if (images.d_color) {
        load_planes3(grid, images.color, width, s.spare[0], s.spare[1], s.spare[2]);
        load_planes3(grid, images.d_color, width, s.d_red, s.d_green, s.d_blue);
        add_product(s.behind, s.spare[0], s.d_red);
        add_product(s.behind, s.spare[1], s.d_green);
        add_product(s.behind, s.spare[2], s.d_blue);
    } else {
        clear(s.d_red), clear(s.d_green), clear(s.d_blue);
    }
    const Terms terms = images.d_depth_sum || images.d_depth_median ? kAll : images.d_alpha ? kColorAlpha : kColor;
    if (images.d_alpha) {
        load_plane(grid, images.alpha, width, s.spare[0]);
        load_plane(grid, images.d_alpha, width, s.d_alpha);
        add_product(s.behind, s.spare[0], s.d_alpha);
    } else if (terms == kAll) {
        clear(s.d_alpha);
    }
    if (images.d_depth_sum) {
        load_plane(grid, images.depth_sum, width, s.spare[0]);
        load_plane(grid, images.d_depth_sum, width, s.d_depth);
        add_product(s.behind, s.spare[0], s.d_depth);
    } else if (terms == kAll) {
        clear(s.d_depth);
    }
    if (images.d_depth_median) load_plane(grid, images.d_depth_median, width, s.d_median);
    else if (terms == kAll) clear(s.d_median);
    return terms;
}

HF_INLINE int64_t slab_row(const TileLists& lists, const TileGrid& grid, uint32_t gaussian, const Row& row) {
    const uint32_t x = uint32_t(grid.x0 / kTile), y = uint32_t(grid.y0 / kTile);
    return int64_t(lists.chunk_base[gaussian / kChunk]) + uint32_t(row.slab_base + y * row.tiles_across + x);
}

// One Gaussian over its blocks, row by row: the words of its slab row.
template <Terms kTerms, bool kClamp>
HF_INLINE F16 replay_gaussian(const Splat& splat_, const Row& row, uint64_t blocks, Scratch& s) {
    const F16 zero = splat(0.0f), one = splat(1.0f);
    const F16 red = splat(row.red), green = splat(row.green), blue = splat(row.blue), z = splat(row.z);
    // First all alphas, then what depends on them: in one loop the long chain of a block would fill the processor's window.
    int count = 0;
    for (uint64_t left = blocks; left;) {
        const int first = count_trailing_zeros(left) & ~7;
        uint32_t columns = uint32_t(left >> first) & 0xFF;
        left &= ~(uint64_t(0xFF) << first);
        const Splat::AtRow at = splat_.at_row(load(kBlockPixels.y[first / 8]));
        store(s.v[first / 8], at.v);
        do {
            F16 u;
            M16 drawn;
            store(s.alpha[count], splat_.alpha(at, load(kBlockPixels.x[count_trailing_zeros(columns)]), u, drawn));
            store(s.u[count++], u);
            columns &= columns - 1;
        } while (columns);
    }
    count = 0;
    F16 sum[10] = {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero};
    do {
        const int first = count_trailing_zeros(blocks) & ~7;
        uint32_t columns = uint32_t(blocks >> first) & 0xFF;
        blocks &= ~(uint64_t(0xFF) << first);
        const F16 v = load(s.v[first / 8]);
        F16 row_g = zero, row_gu = zero;  // v is the same for the whole row, so its moments need no more than these
        do {
            const int block = first + count_trailing_zeros(columns);
            columns &= columns - 1;
            F16 alpha = load(s.alpha[count]);
            const F16 u = load(s.u[count++]);
            M16 moving = mask_of_bits(0xFFFF);
            if constexpr (kClamp) {
                moving = alpha <= splat(kAlphaMax);
                alpha = min(alpha, splat(kAlphaMax));
            }
            const F16 transmittance = load(s.transmittance[block]);
            F16 weight = transmittance * alpha;
            const F16 after = transmittance - weight;
            const M16 alive = splat(kStop) < after;
            weight = zero_unless(alive, weight);
            store(s.transmittance[block], after);

            const F16 d_red = load(s.d_red[block]), d_green = load(s.d_green[block]), d_blue = load(s.d_blue[block]);
            F16 value = kTerms == kColor ? d_red * red : fma(d_red, red, load(s.d_alpha[block]));
            value = fma(d_green, green, value);
            value = fma(d_blue, blue, value);
            if constexpr (kTerms == kAll) value = fma(load(s.d_depth[block]), z, value);
            const F16 passed = weight * value;
            const F16 behind = load(s.behind[block]) - passed;
            store(s.behind[block], behind);

            sum[kSumRed] = fma(weight, d_red, sum[kSumRed]);
            sum[kSumGreen] = fma(weight, d_green, sum[kSumGreen]);
            sum[kSumBlue] = fma(weight, d_blue, sum[kSumBlue]);
            if constexpr (kTerms == kAll) {
                sum[kSumDepth] = fma(weight, load(s.d_depth[block]), sum[kSumDepth]);
                const M16 median = (splat(0.5f) < transmittance) & (after <= splat(0.5f));
                sum[kSumDepth] = add_where(median, sum[kSumDepth], load(s.d_median[block]));
            }

            const M16 counts = kClamp ? alive & moving : alive;
            const F16 g = fnma_or_zero(counts, alpha * reciprocal(one - alpha), behind, passed);
            const F16 gu = g * u;
            row_g += g;
            row_gu += gu;
            sum[kSumUU] = fma(gu, u, sum[kSumUU]);
        } while (columns);
        const F16 row_gv = row_g * v;
        sum[kSumG] += row_g;
        sum[kSumU] += row_gu;
        sum[kSumV] += row_gv;
        sum[kSumUV] = fma(row_gu, v, sum[kSumUV]);
        sum[kSumVV] = fma(row_gv, v, sum[kSumVV]);
    } while (blocks);
    return sums(sum);
}

template <Terms kTerms>
void replay(const TileLists& lists, int tile, const TileGrid& grid, Slab slab, Scratch& s) {
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    const int64_t used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < end; ++i) {
        if (i + 12 < end) prefetch(lists.rows + lists.entries[i + 12]);
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        const uint64_t blocks = i < used ? lists.masks[i] : 0;
        F16 words = splat(0.0f);
        if (blocks) {
            const Splat splat_ = splat_of(row, grid);
            words = row.log2_opacity > kLog2AlphaMax ? replay_gaussian<kTerms, true>(splat_, row, blocks, s)
                                                     : replay_gaussian<kTerms, false>(splat_, row, blocks, s);
        }
        stream(slab + 16 * slab_row(lists, grid, gaussian, row), words);
    }
    fence_streams();
}

}  // namespace

void undraw_tile(const ViewInputs& view, int tile, const TileLists& lists, const ImageGradients& images, Slab slab,
                 void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    switch (open_tile(view, grid, images, s)) {
        case kColor: return replay<kColor>(lists, tile, grid, slab, s);
        case kColorAlpha: return replay<kColorAlpha>(lists, tile, grid, slab, s);
        case kAll: return replay<kAll>(lists, tile, grid, slab, s);
    }
}

void weigh_tile(const ViewInputs& view, int tile, const TileLists& lists, const float* error_map, Slab slab,
                void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    for (int block = 0; block < kTileBlocks; ++block) store(s.transmittance[block], inside(grid, block));
    Plane& error = s.spare[0];
    if (error_map) load_plane(grid, error_map, view.width, error);
    else clear(error);
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    const int64_t used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < end; ++i) {
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        uint64_t blocks = i < used ? lists.masks[i] : 0;
        const Splat splat_ = splat_of(row, grid);
        F16 weight_sum = splat(0.0f), error_sum = splat(0.0f);
        for (; blocks; blocks &= blocks - 1) {
            const int block = count_trailing_zeros(blocks);
            F16 u;
            M16 drawn;
            const Splat::AtRow at = splat_.at_row(load(kBlockPixels.y[block / 8]));
            const F16 alpha = min(splat_.alpha(at, load(kBlockPixels.x[block % 8]), u, drawn), splat(kAlphaMax));
            const F16 transmittance = load(s.transmittance[block]);
            F16 weight = transmittance * alpha;
            const F16 after = transmittance - weight;
            const M16 alive = splat(kStop) < after;
            weight = zero_unless(alive, weight);
            store(s.transmittance[block], after);
            weight_sum += weight;
            error_sum = fma(weight, load(error[block]), error_sum);
        }
        float* to = slab + 16 * slab_row(lists, grid, gaussian, row);
        to[0] = sum(weight_sum);
        to[1] = sum(error_sum);
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
