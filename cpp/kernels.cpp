#include "stages.h"

namespace hyperfocal::HYPERFOCAL_ISA {

extern const Kernels kernels;
const Kernels kernels = {project_chunk, draw_tile, blend_features_tile, undraw_tile, weigh_tile, unproject_chunk};

}  // namespace hyperfocal::HYPERFOCAL_ISA
