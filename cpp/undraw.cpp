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
    Plane alpha, u;       // of one Gaussian, in the order of its blocks
    Plane weight, value;  // the same, and only where there are feature channels
    Plane d_features[kMaxChannels];
    float v[8][kLanes];
};
static_assert(sizeof(Scratch) <= kScratchBytes);

// Which image gradients there are: a kernel for each case, as those in no need of a term should not pay for it.
enum Terms { kColor, kColorAlpha, kDepth, kFeatures };

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
    const Terms terms = images.d_features                                ? kFeatures
                        : images.d_depth_expected || images.d_depth_median ? kDepth
                        : images.d_alpha                                   ? kColorAlpha
                                                                           : kColor;
    if (terms != kColor) clear(s.d_alpha);
    if (terms >= kDepth) clear(s.d_depth), clear(s.d_median);
    if (images.d_alpha) {
        load_plane(grid, images.alpha, width, s.spare[0]);
        load_plane(grid, images.d_alpha, width, s.d_alpha);
        add_product(s.behind, s.spare[0], s.d_alpha);
    }
    if (images.d_depth_expected) {
        // depth = (sum of w z) / (sum of w): by the one 1 / alpha of the gradient, by the other -depth / alpha of it. What
        // both add to `behind` cancels.
        Plane &alpha = s.spare[0], &depth = s.spare[1];
        load_plane(grid, images.alpha, width, alpha);
        load_plane(grid, images.depth_expected, width, depth);
        load_plane(grid, images.d_depth_expected, width, s.d_depth);
        for (int block = 0; block < kTileBlocks; ++block) {
            const F16 a = load(alpha[block]), by_sum = zero_unless(splat(0.0f) < a, load(s.d_depth[block]) / a);
            store(s.d_depth[block], by_sum);
            store(s.d_alpha[block], fnma(by_sum, load(depth[block]), load(s.d_alpha[block])));
        }
    }
    if (images.d_depth_median) load_plane(grid, images.d_depth_median, width, s.d_median);
    for (int k = 0; k < (images.d_features ? view.channels : 0); ++k) {
        load_channel(grid, images.features, width, view.channels, k, s.spare[0]);
        load_channel(grid, images.d_features, width, view.channels, k, s.d_features[k]);
        add_product(s.behind, s.spare[0], s.d_features[k]);
    }
    return terms;
}

// The feature channels of one Gaussian and their gradient in one tile.
struct FeatureRow {
    const float* values;
    float* d_values;
    int channels;
};

// By how much its features change the loss at the pixels of its blocks, to s.value.
inline void value_features(const FeatureRow& features, uint64_t blocks, Scratch& s) {
    for (int count = 0; blocks; blocks &= blocks - 1, ++count) {
        const int block = count_trailing_zeros(blocks);
        F16 value = splat(0.0f);
        for (int k = 0; k < features.channels; ++k)
            value = fma(load(s.d_features[k][block]), splat(features.values[k]), value);
        store(s.value[count], value);
    }
}

// From the weights in s.weight.
inline void sum_features(const FeatureRow& features, uint64_t blocks, const Scratch& s) {
    for (int k = 0; k < features.channels; ++k) {
        F16 total = splat(0.0f);
        int count = 0;
        for (uint64_t left = blocks; left; left &= left - 1, ++count)
            total = fma(load(s.weight[count]), load(s.d_features[k][count_trailing_zeros(left)]), total);
        features.d_values[k] = sum(total);
    }
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
            if constexpr (kTerms >= kDepth) value = fma(load(s.d_depth[block]), z, value);
            if constexpr (kTerms == kFeatures) {
                value += load(s.value[count - 1]);
                store(s.weight[count - 1], weight);
            }
            const F16 passed = weight * value;
            const F16 behind = load(s.behind[block]) - passed;
            store(s.behind[block], behind);

            sum[kSumRed] = fma(weight, d_red, sum[kSumRed]);
            sum[kSumGreen] = fma(weight, d_green, sum[kSumGreen]);
            sum[kSumBlue] = fma(weight, d_blue, sum[kSumBlue]);
            if constexpr (kTerms >= kDepth) {
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
void replay(const ViewInputs& view, const TileLists& lists, int tile, const TileGrid& grid, Slab slab,
            FeatureSlab feature_slab, Scratch& s) {
    const int64_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    const int64_t used = begin + lists.tile_used[tile];
    for (int64_t i = begin; i < end; ++i) {
        if (i + 12 < end) prefetch(lists.rows + lists.entries[i + 12]);
        const uint32_t gaussian = lists.entries[i];
        const Row& row = lists.rows[gaussian];
        const uint64_t blocks = i < used ? lists.masks[i] : 0;
        const int64_t at = slab_row(lists, grid, gaussian, row);
        FeatureRow features = {};
        if constexpr (kTerms == kFeatures) {
            const int channels = view.channels;
            features = {view.features + int64_t(gaussian) * channels, feature_slab + at * channels, channels};
            value_features(features, blocks, s);
        }
        F16 words = splat(0.0f);
        if (blocks) {
            const Splat splat_ = splat_of(row, grid);
            words = row.log2_opacity > kLog2AlphaMax ? replay_gaussian<kTerms, true>(splat_, row, blocks, s)
                                                     : replay_gaussian<kTerms, false>(splat_, row, blocks, s);
        }
        stream(slab + 16 * at, words);
        if constexpr (kTerms == kFeatures) sum_features(features, blocks, s);
    }
    fence_streams();
}

}  // namespace

void undraw_tile(const ViewInputs& view, int tile, const TileLists& lists, const ImageGradients& images, Slab slab,
                 FeatureSlab feature_slab, void* scratch) {
    const FlushDenormals flush;
    Scratch& s = *static_cast<Scratch*>(scratch);
    const TileGrid grid(view, tile);
    switch (open_tile(view, grid, images, s)) {
        case kColor: return replay<kColor>(view, lists, tile, grid, slab, feature_slab, s);
        case kColorAlpha: return replay<kColorAlpha>(view, lists, tile, grid, slab, feature_slab, s);
        case kDepth: return replay<kDepth>(view, lists, tile, grid, slab, feature_slab, s);
        case kFeatures: return replay<kFeatures>(view, lists, tile, grid, slab, feature_slab, s);
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
