// Stages 2 and 3: Gaussians front to back, and the list of each tile. Both give the same for any number of threads.
#pragma once

#include <cstdint>

#include "buffer.h"
#include "kernels.h"

namespace hyperfocal {

// The Gaussians of packed keys (see Projected::keys) by rising depth; ties keep the order of the Gaussians.
Buffer<uint32_t> sort_by_depth(const uint64_t* keys, const uint32_t* chunk_visible, int64_t n, int64_t visible, int threads);

struct Bins {
    Buffer<uint32_t> tile_start;  // [tiles + 1]
    Buffer<uint32_t> entries;     // Gaussians, tile by tile, front to back within each
};
Bins bin_by_tile(const Buffer<uint32_t>& order, const Box* boxes, int tiles_x, int tiles_y, int threads);

}  // namespace hyperfocal
