// Depth of a picture from pictures beside it whose cameras are known (docs/theory.md, "Stereo by plane sweep"). Drivers
// (stereo.cpp), kernels for each instruction set (sweep.cpp, semiglobal.cpp, slant.cpp). Knows no cameras: the caller says
// where a pixel at an inverse depth lies in each source.
#pragma once

#include <cstdint>

#include "isa.h"

namespace hyperfocal {

constexpr int kMaxSources = 16;
constexpr int kMaxPlanes = 1024;
constexpr int kMaxRadius = 8;

// A picture beside the reference. A point at pixel (x, y) of the reference and inverse depth rho lies at q_x / q_z, q_y / q_z
// with q = map (x, y, 1) + rho shift; pixel centres are at +0.5.
struct StereoSource {
    const float* grey = nullptr;  // [h, w]; what is no finite number was not seen
    int height = 0, width = 0;
    float map[9] = {};
    float shift[3] = {};
};

struct StereoView {
    const float* grey = nullptr;  // [h, w]; finite
    int height = 0, width = 0;
    int sources = 0;
    StereoSource source[kMaxSources];
    int radius = 3;          // of the window, pixels
    float noise_power = 0;   // variance of grey that counts as no texture
    int64_t pixels() const { return int64_t(height) * width; }
};

constexpr uint8_t kDearest = 254;   // the cost of windows that do not resemble each other
constexpr uint8_t kUnseen = 255;    // no source sees the window: as dear, but told apart

// cost [h, w, planes]: of the better half of the sources that see the window at inverse_depth[plane].
void sweep_planes(const StereoView&, const float* inverse_depth, int planes, uint8_t* cost, int threads);

struct Smoothness {
    int step = 0;       // for a neighbour one plane away
    int jump = 0;       // for one farther away, where the picture has no edge
    float edge = 1;     // difference of grey that halves `jump`
};
// place [h, w]: the plane, with a fraction, of the least sum over eight paths; margin [h, w]: how much dearer the best plane
// that is no neighbour of it is, as a share of kDearest a path.
void semi_global(const float* grey, int height, int width, const uint8_t* cost, int planes, const Smoothness&, float* place,
                 float* margin, int threads);

// Each pixel's surface: inverse depth at its centre and slopes per pixel, all three of a plane in space.
struct Slants {
    float* inverse_depth = nullptr;  // [h, w]
    float* along_x = nullptr;        // [h, w]
    float* along_y = nullptr;        // [h, w]
    float* cost = nullptr;           // [h, w] 0 to 1, and 2 where no source sees the window
};
struct SlantSearch {
    const float* anchor = nullptr;  // [h, w] inverse depth that a surface is held near
    float spacing = 1;              // of the planes of the sweep
    float anchor_weight = 0;        // cost of leaving the anchor by one spacing; not more than that of two
    float grey_sigma = 0.1f;        // pixels of the window count less that differ from its centre by more
    int radius = 2;                 // of the window, samples
    int stride = 2;                 // between its samples, pixels
    int rounds = 2;
};
void refine_slants(const StereoView&, const SlantSearch&, const Slants&, int threads);

// ---- Kernels ------------------------------------------------------------------------------------------------------

struct PathWalk {
    const float* grey;
    const uint8_t* cost;
    int height, width, planes;
    Smoothness smoothness;
};

#define HF_DECLARE_STEREO_KERNELS(isa)                                                                                     \
    namespace isa {                                                                                                        \
    void sweep_band(const StereoView&, const float* inverse_depth, int planes, uint8_t* cost, int begin, int end,          \
                    float* scratch);                                                                                       \
    void walk_path(const PathWalk&, int x, int y, int dx, int dy, int16_t* sum, int16_t* scratch);                         \
    void pick_plane(const int16_t* sum, int width, int planes, float* place, float* margin);                               \
    void refine_row(const StereoView&, const SlantSearch&, const Slants&, int y, int round, int color);                    \
    }
HF_DECLARE_STEREO_KERNELS(isa_base)
#ifdef HYPERFOCAL_X86_LEVELS
HF_DECLARE_STEREO_KERNELS(isa_v3)
HF_DECLARE_STEREO_KERNELS(isa_v4)
#endif
#undef HF_DECLARE_STEREO_KERNELS

// Rounded up, so that scratch slots of two workers share no cache line.
inline int64_t stereo_pitch(int width) { return (int64_t(width) + 2 * kMaxRadius + 31) / 16 * 16; }
constexpr int kSweepRows = 24;
inline int64_t sweep_scratch(const StereoView& view) {
    const int64_t rows = kSweepRows + 2 * view.radius;
    return stereo_pitch(view.width) * (4 * rows + (3 + view.sources) * kSweepRows + 8);
}
inline int64_t path_scratch(int planes) { return 2 * ((int64_t(planes) + 2 + 63) / 32 * 32); }

}  // namespace hyperfocal
