// The rasteriser of one view, stage after stage, and what its forward leaves for its backward.
#pragma once

#include <cstdint>

#include "buffer.h"
#include "kernels.h"

namespace hyperfocal {

// Everything backward reads that is neither an input nor an image. Never changed after forward, so one forward serves
// several backwards.
struct ViewState {
    Buffer<Row> rows;             // [n], of visible Gaussians
    Buffer<Box> boxes;            // [n]
    Buffer<uint32_t> chunk_base;  // [chunks + 1] slab rows before each chunk
    Buffer<uint32_t> tile_start, entries, tile_used;
    Buffer<uint64_t> masks;
    Buffer<float> transmittance;

    TileLists lists() const {
        return {rows.data(),    chunk_base.data(), tile_start.data(), entries.data(), const_cast<uint64_t*>(masks.data()),
                const_cast<uint32_t*>(tile_used.data()), const_cast<float*>(transmittance.data())};
    }
};

// Fills the images and radii_px [n]. Throws std::length_error if the lists would not fit.
ViewState draw_view(const ViewInputs& view, const ViewImages& images, float* radii_px, int threads);

// weight_sum and error_sum [n]; either may be null, error_map only with error_sum.
void weigh_view(const ViewInputs& view, const ViewState& state, const float* error_map, float* weight_sum,
                float* error_sum, int threads);

// Gradients of one camera; null where not wanted.
struct CameraGradients {
    float* world_to_camera = nullptr;  // [4, 4]
    float* focal_px = nullptr;         // [2]
    float* center_px = nullptr;        // [2]
    float* background = nullptr;       // [3]
};

void undraw_view(const ViewInputs& view, const ViewState& state, const ImageGradients& images,
                 const GaussianGradients& gaussians, const CameraGradients& camera, int threads);

}  // namespace hyperfocal
