// Stage 1: each Gaussian's footprint, colour and tiles.
#include "projection.h"
#include "sh.h"
#include "stages.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Colours of 16 Gaussians seen from `center`.
HF_INLINE void colors_of(const ViewInputs& view, const Group& g, const float (&center)[3], int64_t first, int count,
                         F16 (&color)[3]) {
    if (view.colors) {
        float space[48];
        load3(padded<3>(view.colors + 3 * first, count, space), color[0], color[1], color[2]);
        return;
    }
    const int used = (view.sh_degree + 1) * (view.sh_degree + 1);
    F16 coefficients[48], basis[kMaxSh];
    gather_rows(view.sh + first * 3 * view.sh_stored, count, 3 * view.sh_stored, 3 * used, coefficients);
    F16 d[3];
    for (int i = 0; i < 3; ++i) d[i] = g.mean[i] - splat(center[i]);
    const F16 inverse = splat(1.0f) / sqrt(dot3(d[0], d[0], d[1], d[1], d[2], d[2]));
    sh_basis(view.sh_degree, d[0] * inverse, d[1] * inverse, d[2] * inverse, basis);
    for (int c = 0; c < 3; ++c) {
        F16 value = splat(0.5f);
        for (int k = 0; k < used; ++k) value = fma(basis[k], coefficients[3 * k + c], value);
        // What is not a finite number stays none, to be culled: of minus infinity max would make a black Gaussian, whose
        // gradient (zero times infinity) is NaN. The difference is zero otherwise.
        color[c] = max(splat(0.0f), value) + (value - value);
    }
}

// A feature that is no finite number would poison the gradients of all that share a pixel with it.
HF_INLINE M16 finite_features(const ViewInputs& view, int64_t first, int count) {
    uint32_t bits = 0;
    for (int i = 0; i < count; ++i) {
        const float* values = view.features + (first + i) * view.channels;
        float nothing = 0.0f;  // or NaN
        for (int k = 0; k < view.channels; ++k) nothing += values[k] - values[k];
        bits |= uint32_t(nothing == 0.0f) << i;
    }
    return mask_of_bits(bits);
}

}  // namespace

void project_chunk(const ViewInputs& view, int64_t chunk, const Projected& out) {
    const int64_t begin = chunk * kChunk, end = begin + kChunk < view.n ? begin + kChunk : view.n;
    float center[3];
    camera_center(view, center);
    uint32_t visible_count = 0, tile_count = 0;
    const float width = float(view.width), height = float(view.height);
    // Of the whole image: a Gaussian outside the window of rows is not culled, it only has no tiles.
    const float image_top = -float(view.first_row), image_bottom = image_top + float(view.image_height);

    for (int64_t first = begin; first < end; first += 16) {
        const int count = end - first < 16 ? int(end - first) : 16;
        M16 visible = mask_of_bits((1u << count) - 1);
        const Group g = load_group(view, first, count);
        Projection p;
        to_camera(view, g, p.t);
        visible = visible & (splat(view.near) <= p.t[2]) & (p.t[2] < splat(view.far)) & finite(p.t[2]);
        F16 radius = splat(0.0f);
        alignas(64) int32_t x0[16] = {}, y0[16] = {}, x1[16] = {}, y1[16] = {};
        F16 row[16];
        uint32_t bits = 0;
        if (any(visible)) {
            project(view, g, p);
            const F16 factor = g.opacity_factor * p.kept.share, opacity = g.opacity * factor;
            const F16 cut = view.relative_cut
                                ? max(splat(1e-6f), factor * splat(view.alpha_cut))
                                : splat(view.alpha_cut);
            visible = visible & (cut <= opacity) & (splat(0.0f) < opacity) & finite(opacity) &
                      (splat(0.0f) < p.det) & finite(p.det) &
                      finite(p.cov_xx) & finite(p.cov_yy) & (splat(0.0f) < p.cov_xx) & (splat(0.0f) < p.cov_yy) &
                      finite(p.mean_px[0]) & finite(p.mean_px[1]);
            // A cut of zero leaves what float arithmetic leaves: alphas down to 2^-126. Its footprint is that of the
            // reference, which ends at the smallest double.
            const M16 no_cut = cut < splat(1.17549435e-38f);
            const F16 log2_opacity = log2(opacity), log2_cut = select(no_cut, splat(-126.0f), log2(cut));
            // The footprint: d^T cov^-1 d <= reach2.
            const F16 reach2 = splat(2.0f * kLn2) *
                               max(log2_opacity - select(no_cut, splat(-1022.0f), log2_cut), splat(0.0f));
            const F16 half_width = sqrt(reach2 * p.cov_xx), half_height = sqrt(reach2 * p.cov_yy);
            visible = visible & (splat(0.0f) < p.mean_px[0] + half_width) & (p.mean_px[0] - half_width < splat(width)) &
                      (splat(image_top) < p.mean_px[1] + half_height) &
                      (p.mean_px[1] - half_height < splat(image_bottom));
            if (any(visible)) {
                F16 color[3];
                colors_of(view, g, center, first, count, color);
                visible = visible & finite(color[0]) & finite(color[1]) & finite(color[2]);
                if (view.features) visible = visible & finite_features(view, first, count);
                radius = zero_unless(visible, max(half_width, half_height));

                // Pixel centres within the bounding box, a little widened against rounding; then their tiles.
                const F16 slack = splat(1e-3f), half = splat(0.5f), zero = splat(0.0f);
                const F16 first_x = clamp(-floor(half - p.mean_px[0] + half_width + slack), zero, splat(width));
                const F16 last_x = clamp(floor(p.mean_px[0] + half_width + slack - half), splat(-1.0f), splat(width - 1));
                const F16 first_y = clamp(-floor(half - p.mean_px[1] + half_height + slack), zero, splat(height));
                const F16 last_y = clamp(floor(p.mean_px[1] + half_height + slack - half), splat(-1.0f), splat(height - 1));
                const M16 drawn = visible & (first_x <= last_x) & (first_y <= last_y);
                bits = bits_of(drawn);
                const F16 per_tile = splat(1.0f / kTile), one = splat(1.0f);
                store(x0, round_to_int(floor(zero_unless(drawn, first_x * per_tile))));
                store(y0, round_to_int(floor(zero_unless(drawn, first_y * per_tile))));
                store(x1, round_to_int(zero_unless(drawn, floor(last_x * per_tile) + one)));
                store(y1, round_to_int(zero_unless(drawn, floor(last_y * per_tile) + one)));

                row[0] = p.mean_px[0];
                row[1] = p.mean_px[1];
                whitening(p, row[2], row[3], row[4]);
                row[5] = log2_opacity;
                row[6] = log2_cut;
                row[7] = color[0];
                row[8] = color[1];
                row[9] = color[2];
                row[10] = p.t[2];
                row[13] = min(half_height, splat(1e9f));
                const F16 ratio = row[4] / row[2];
                row[14] = -(row[3] / row[2]);
                row[15] = ratio * ratio;
            }
        }
        alignas(64) float radii[16], z[16];
        store(radii, radius);
        store(z, p.t[2]);
        std::memcpy(out.radii_px + first, radii, sizeof(float) * size_t(count));
        alignas(64) int32_t base[16] = {}, across[16] = {};
        for (int i = 0; i < count; ++i) {
            const Box box = {uint16_t(x0[i]), uint16_t(y0[i]), uint16_t(x1[i]), uint16_t(y1[i])};
            out.boxes[first + i] = box;
            if (!(bits >> i & 1)) continue;
            across[i] = x1[i] - x0[i];
            base[i] = int32_t(tile_count - uint32_t(y0[i] * across[i]) - uint32_t(x0[i]));
            tile_count += box.count();
            uint32_t depth_bits;
            std::memcpy(&depth_bits, z + i, sizeof depth_bits);
            out.keys[begin + visible_count++] = uint64_t(depth_bits) << 32 | uint64_t(first + i);
        }
        if (bits) {
            row[11] = float_of_bits(load(base));
            row[12] = float_of_bits(load(across));
            transpose(row);
            for (int i = 0; i < count; ++i) store(&out.rows[first + i].mean_x_px, row[i]);
        }
    }
    out.chunk_visible[chunk] = visible_count;
    out.chunk_tiles[chunk] = tile_count;
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
