// The stages that are compiled per instruction set; kernels.cpp puts them into the table.
#pragma once

#include "kernels.h"

namespace hyperfocal::HYPERFOCAL_ISA {

void project_chunk(const ViewInputs&, int64_t chunk, const Projected&);
void draw_tile(const ViewInputs&, int tile, const TileLists&, const ViewImages&, void* scratch);
void blend_features_tile(const ViewInputs&, int tile, const TileLists&, float* features, void* scratch);
void undraw_tile(const ViewInputs&, int tile, const TileLists&, const ImageGradients&, Slab, FeatureSlab, void* scratch);
void weigh_tile(const ViewInputs&, int tile, const TileLists&, const float* error_map, const EntrySums&, void* scratch);
void unproject_chunk(const ViewInputs&, int64_t chunk, const Box*, uint32_t slab_base, Slab, const GaussianGradients&,
                     double* camera_sums);

}  // namespace hyperfocal::HYPERFOCAL_ISA
