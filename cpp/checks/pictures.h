// Random and degenerate pictures with depth for the stress driver, and what defocus in layers makes of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenes.h"

namespace hyperfocal::checks {

struct Picture {
    int planes = 0, height = 0, width = 0, layers = 0;  // as those of LayerSources
    int intervals = 0;
    bool degenerate = false;  // some sources are outside the levels or layers, or no numbers
    bool bright = false;      // some lights are a million times as bright as the rest
    bool shifted = false;     // arrays start 4 bytes past a 64-byte boundary
    Floats color, level, layer;
    Floats d_color, d_alpha;  // the picture's gradients, empty if absent
    std::vector<int32_t> reach, first_row, row_start, dx;  // as those of Stencils
    std::vector<double> base, slope;
    std::string describe() const;
};

// From no pixel to two hundred a side, circles from none to several times the picture.
Picture random_picture(uint64_t seed);

// Draws and differentiates. The order of the results is always the same.
std::vector<Result> compute_all(const Picture& picture, int threads);

}  // namespace hyperfocal::checks
