// Defocus of a picture whose pixels have depth: every source pixel is scattered over its own point-spread function into the
// layers of depth that it belongs to, and the layers cover each other from near to far (docs/theory.md, "Defocus in layers").
// Knows no lens: the caller says which kernel and which layer. Driver (layers.cpp), kernels for each instruction set (scatter.cpp).
#pragma once

#include <cstdint>

#include "isa.h"

namespace hyperfocal {

// Point-spread functions as differences along their rows: value(x) - value(x - 1), where it is not 0. A function made of
// spans has few of them, and what is scattered becomes a picture by one running sum over each row. Interval i holds the
// functions between levels i and i + 1: base + fraction * slope.
struct Stencils {
    int intervals = 0;
    const int32_t* reach = nullptr;      // [intervals] rows and columns each way
    const int32_t* first_row = nullptr;  // [intervals] where row -reach stands in row_start; 2 reach + 2 numbers
    const int32_t* row_start = nullptr;  // the first entry of each row, and the end of the last
    const int32_t* dx = nullptr;
    const double* base = nullptr;
    const double* slope = nullptr;
};

// Source pixels: the picture itself, and behind it, in further planes, what the caller believes to be hidden.
struct LayerSources {
    int planes = 0, height = 0, width = 0, layers = 0;
    const float* color = nullptr;  // [planes, h, w, 3] linear light, finite
    const float* level = nullptr;  // [planes, h, w] level of the stencils, in [0, intervals]
    const float* layer = nullptr;  // [planes, h, w] in [0, layers - 1], 0 the farthest; shared linearly by the two next to it
    // Where level or layer is anything else, or no number, is no source.
};

struct LayerPicture {
    float* color = nullptr;  // [h, w, 3]
    float* alpha = nullptr;  // [h, w]
    float* state = nullptr;  // [h, w, kStateWords], for the gradient
};
// The layer at which a pixel was full (-1 if it never was), the share of it that found room, its colour, and the sum of all.
enum StateWord { kFullLayer, kFullShare, kFullRed, kFullGreen, kFullBlue, kSum, kStateWords };

struct LayerGradients {
    const float* d_color = nullptr;  // [h, w, 3] of the picture
    const float* d_alpha = nullptr;  // [h, w]
    float* color = nullptr;          // of the sources, as they are
    float* level = nullptr;
    float* layer = nullptr;
};

// A pixel is full a little above 1, so that rounding does not decide whether a plain surface, whose weights add up to 1
// exactly, is full: that would decide the gradient.
constexpr double kFull = 1.0 + 1.0 / 4096;

void draw_layers(const LayerSources&, const Stencils&, const LayerPicture&, int threads);
void undraw_layers(const LayerSources&, const Stencils&, const LayerPicture&, const LayerGradients&, int threads);

// ---- Kernels ------------------------------------------------------------------------------------------------------

// One source in one layer.
struct LayerEntry {
    int32_t plane, x;
    int32_t interval;
    float fraction, weight;
};

// The entries sorted by row and layer; start[row * layers + layer] is the first of each.
struct LayerLists {
    const LayerEntry* entries;
    const int64_t* start;
    const int32_t* reach;  // [rows * layers] the largest reach among them, -1 if there are none
};

#define HF_DECLARE_LAYER_KERNELS(isa)                                                                                  \
    namespace isa {                                                                                                    \
    void scatter_band(const LayerSources&, const Stencils&, const LayerLists&, const LayerPicture&, int begin, int end, \
                      double* scratch);                                                                                \
    void gather_band(const LayerSources&, const Stencils&, const LayerLists&, const LayerPicture&,                     \
                     const LayerGradients&, int begin, int end, int most_reach, double* scratch);                      \
    }
HF_DECLARE_LAYER_KERNELS(isa_base)
#ifdef HYPERFOCAL_X86_LEVELS
HF_DECLARE_LAYER_KERNELS(isa_v3)
HF_DECLARE_LAYER_KERNELS(isa_v4)
#endif
#undef HF_DECLARE_LAYER_KERNELS

// Doubles of scratch for one band of rows.
inline int64_t scatter_scratch(int width, int rows) { return int64_t(rows) * (4 * (width + 1) + 4 * width + 1); }
inline int64_t gather_scratch(int width, int rows, int most_reach) {
    return int64_t(rows + 2 * most_reach) * (4 * (width + 1) + 1);
}

}  // namespace hyperfocal
