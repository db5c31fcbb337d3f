// What one pair of a Gaussian and a pixel costs on this machine when nothing is in its way: the inner loops of a forward
// and a backward pass over pixels and Gaussians that never leave the first-level cache, with no lists to build and no masks
// to find. The number of pairs that a scene needs times this cost is the yardstick of `hyperfocal bench rasterizer`.
//
// Backward is the customary loop: from back to front, each transmittance recovered by a division, nine sums reduced to
// scalars for each Gaussian. The renderer's own (undraw.cpp) goes from front to back and needs fewer instructions, so a
// ratio below one is possible.
#pragma once

#include <cstdint>

#include "isa.h"

namespace hyperfocal {

constexpr int kLimitGaussians = 64, kLimitPixels = 64;

// Each evaluates kLimitGaussians * kLimitPixels pairs `repeats` times, and returns a number that depends on all of them.
struct LimitKernels {
    float (*forward)(int64_t repeats);
    float (*backward)(int64_t repeats);
};

#define HF_DECLARE_LIMIT_KERNELS(isa)                                        \
    namespace isa {                                                          \
    float limit_forward(int64_t);                                            \
    float limit_backward(int64_t);                                           \
    constexpr LimitKernels limit_kernels = {limit_forward, limit_backward};  \
    }
HF_DECLARE_LIMIT_KERNELS(isa_base)
#ifdef HYPERFOCAL_X86_LEVELS
HF_DECLARE_LIMIT_KERNELS(isa_v3)
HF_DECLARE_LIMIT_KERNELS(isa_v4)
#endif
#undef HF_DECLARE_LIMIT_KERNELS

inline const LimitKernels& limit_kernels_in_use() {
#ifdef HYPERFOCAL_X86_LEVELS
    if (simd_level() == SimdLevel::v4) return isa_v4::limit_kernels;
    if (simd_level() == SimdLevel::v3) return isa_v3::limit_kernels;
#endif
    return isa_base::limit_kernels;
}

}  // namespace hyperfocal
