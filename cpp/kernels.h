// What the stages of the rasteriser hand to each other, and the table of those stages that each instruction set fills.
//
// Forward:   project -> sort -> bin -> draw (per tile)
// Backward:  undraw (per tile, one slab row per Gaussian and tile) -> unproject (sums the slab, per Gaussian)
#pragma once

#include <cstdint>
#include <limits>

#include "isa.h"

namespace hyperfocal {

constexpr int kTile = 32;          // pixels per tile side
constexpr int kBlock = 4;          // pixels per block side: one block is one 16-lane vector
constexpr int kTileBlocks = 64;    // 8 x 8 blocks: one bit each in a 64-bit mask; block = 8 * row + column
constexpr int kTilePixels = kTile * kTile;
constexpr int kChunk = 1024;       // Gaussians per unit of the per-Gaussian stages; fixed, so that sums are too
constexpr int kRowWords = 16;
constexpr int kMaxChannels = 32;

// The packed row of one projected Gaussian: one cache line. At pixel offset (dx, dy) from the mean,
//     log2 alpha = log2_opacity - u^2 - v^2    with u = k_xx dx + k_xy dy and v = k_yy dy,
// and it is drawn where this is at least log2_cut. (k^T k is the inverse covariance times log2(e) / 2; its triangular root
// keeps the digits that the inverse covariance of a long thin Gaussian loses.) The ellipse within which that holds spans
// dy in +-half_height, and at dy the interval slope dy +- sqrt(squash (half_height^2 - dy^2)).
struct alignas(64) Row {
    float mean_x_px, mean_y_px;
    float k_xx, k_xy, k_yy;
    float log2_opacity, log2_cut;
    float red, green, blue;
    float z;
    uint32_t slab_base;  // slab row of tile (tx, ty): chunk_base[g / kChunk] + slab_base + ty * tiles_across + tx
    uint32_t tiles_across;
    float half_height_px, slope, squash;
};
static_assert(sizeof(Row) == 64);

// The tiles that a Gaussian may touch, [x0, x1) by [y0, y1); empty if culled.
struct Box {
    uint16_t x0, y0, x1, y1;
    HYPERFOCAL_INLINE uint32_t count() const { return uint32_t(x1 - x0) * uint32_t(y1 - y0); }
};

// What a Gaussian's opacity becomes when variance_px2 widens its footprint (opacity_law.h).
enum class OpacityLaw { none, energy, optical_depth };

// One view of a scene; every array is float32 and contiguous. Optional ones are null.
struct ViewInputs {
    int64_t n = 0;
    int width = 0, height = 0;  // of what is drawn: rows [first_row, first_row + height) of an image image_height high
    int first_row = 0, image_height = 0;
    const float* means = nullptr;        // [n, 3]
    const float* quaternions = nullptr;  // [n, 4] wxyz, any length but zero
    const float* scales = nullptr;       // [n, 3]
    const float* opacities = nullptr;    // [n]
    const float* sh = nullptr;           // [n, sh_stored, 3], or
    const float* colors = nullptr;       // [n, 3]
    int sh_stored = 0;                   // 1, 4, 9 or 16
    int sh_degree = 0;                   // the degree in use
    const float* features = nullptr;     // [n, channels] optional, blended beside the colours
    int channels = 0;                    // at most kMaxChannels
    float world_to_camera[16] = {};
    float focal_px[2] = {}, center_px[2] = {};
    float background[3] = {};
    const float* variance_px2 = nullptr;     // [n] optional
    const float* opacity_factor = nullptr;   // [n] optional
    const float* mean_offsets_px = nullptr;  // [n, 2] optional
    float low_pass_px2 = 0.3f, near = 0.01f, far = std::numeric_limits<float>::infinity(), alpha_cut = 1.0f / 255.0f;
    bool relative_cut = true;
    OpacityLaw opacity_law = OpacityLaw::none;

    HYPERFOCAL_INLINE int tiles_x() const { return (width + kTile - 1) / kTile; }
    HYPERFOCAL_INLINE int tiles_y() const { return (height + kTile - 1) / kTile; }
};

// What projecting one chunk of Gaussians writes. Arrays are indexed by Gaussian, except that each chunk's visible ones
// are packed at the start of its stretch of `keys`.
struct Projected {
    Row* rows;
    Box* boxes;
    float* radii_px;
    uint64_t* keys;           // depth bits << 32 | Gaussian
    uint32_t* chunk_visible;  // [chunks]
    uint32_t* chunk_tiles;    // [chunks] sum of box counts
};

// The lists by tile that forward leaves for backward.
struct TileLists {
    const Row* rows;
    const uint32_t* chunk_base;   // [chunks] first slab row of each chunk of Gaussians
    const uint32_t* tile_start;   // [tiles + 1]
    const uint32_t* entries;      // Gaussians of each tile, front to back
    uint64_t* masks;              // per entry, the blocks it touches that were not saturated before
    uint32_t* tile_used;          // [tiles] entries before the tile was saturated
    float* transmittance;         // [tiles, 64, 16] what the background still contributes
};

struct ViewImages {
    float* color;         // [h, w, 3]
    float* alpha;         // [h, w]
    float* depth_expected;  // [h, w]
    float* depth_median;    // [h, w]
    float* features;        // [h, w, channels], or null
};

// Gradients of the images (null if absent) and what they are gradients of.
struct ImageGradients {
    const float *d_color, *d_alpha, *d_depth_expected, *d_depth_median, *d_features;
    const float *color, *alpha, *depth_expected, *features;
    bool any() const { return d_color || d_alpha || d_depth_expected || d_depth_median || d_features; }
};

// One slab row: sums over the pixels of one tile, of one Gaussian. g is alpha dL/dalpha; u and v are those of Row.
enum SlabWord {
    kSumG, kSumU, kSumV, kSumUU, kSumUV, kSumVV,  // g, g u, g v, g u u, g u v, g v v
    kSumRed, kSumGreen, kSumBlue, kSumDepth,      // weight times the image's gradient
};

constexpr int kSlabSlack = 4;  // rows past the end that may be looked at

// One row of 16 floats per Gaussian and tile, each written exactly once, by the tile: rows of one Gaussian come from several
// threads, and anything that they would have to share (a flag per row, say) travels from core to core all the time.
typedef float* Slab;  // [slab rows + kSlabSlack, 16]
// The same for feature channels: weight times the image's gradient. Null where there are none.
typedef float* FeatureSlab;  // [slab rows, channels]

// One sum per entry of the tiles' lists; `error` is null where there is no error map.
struct EntrySums {
    float *weight, *error;
};

// Gradients per Gaussian; null where not wanted. If `accumulate`, they are added to what is there.
struct GaussianGradients {
    float* means = nullptr;
    float* quaternions = nullptr;
    float* scales = nullptr;
    float* opacities = nullptr;
    float* sh = nullptr;
    float* colors = nullptr;
    float* features = nullptr;
    float* variance_px2 = nullptr;
    float* opacity_factor = nullptr;
    float* mean_offsets_px = nullptr;
    bool accumulate_means = false, accumulate_quaternions = false, accumulate_colors = false;
    bool accumulate_features = false;
    bool accumulate = false;  // scales, opacities, sh
};

// Sums over one chunk for the camera's gradient.
enum CameraWord { kCameraMatrix = 0, kCameraFocal = 12, kCameraCenter = 14, kCameraDirection = 16, kCameraWords = 20 };

struct Kernels {
    void (*project_chunk)(const ViewInputs&, int64_t chunk, const Projected&);
    void (*draw_tile)(const ViewInputs&, int tile, const TileLists&, const ViewImages&, void* scratch);
    // Adds what the Gaussians that draw_tile drew contribute to the feature channels.
    void (*blend_features_tile)(const ViewInputs&, int tile, const TileLists&, float* features, void* scratch);
    void (*undraw_tile)(const ViewInputs&, int tile, const TileLists&, const ImageGradients&, Slab, FeatureSlab,
                        void* scratch);
    // weight (and, if error_map is given, weight times error) of each Gaussian in each tile.
    void (*weigh_tile)(const ViewInputs&, int tile, const TileLists&, const float* error_map, const EntrySums&,
                       void* scratch);
    // camera_sums: kCameraWords doubles, or null.
    void (*unproject_chunk)(const ViewInputs&, int64_t chunk, const Box*, uint32_t slab_base, Slab,
                            const GaussianGradients&, double* camera_sums);
};

constexpr int64_t kScratchBytes = 1 << 18;  // per thread, for the tile kernels

namespace isa_base {
extern const Kernels kernels;
}
#ifdef HYPERFOCAL_X86_LEVELS
namespace isa_v3 {
extern const Kernels kernels;
}
namespace isa_v4 {
extern const Kernels kernels;
}
#endif

inline const Kernels& kernels_in_use() {
#ifdef HYPERFOCAL_X86_LEVELS
    if (simd_level() == SimdLevel::v4) return isa_v4::kernels;
    if (simd_level() == SimdLevel::v3) return isa_v3::kernels;
#endif
    return isa_base::kernels;
}

}  // namespace hyperfocal
