// One source, several instruction sets: the files in CMake's ISA_SOURCES are compiled once for each level, with
// HYPERFOCAL_ISA naming the namespace of that copy (isa_base, isa_v3, isa_v4). Inline functions shared by these files
// live in that namespace too (simd.h), and they use no STL templates: the linker keeps one copy of such a function for
// the whole library, and it may keep one that the processor at hand cannot run.
#pragma once

#if defined(_MSC_VER)
#define HYPERFOCAL_INLINE __forceinline
#else
#define HYPERFOCAL_INLINE inline __attribute__((always_inline))
#endif

namespace hyperfocal {

enum class SimdLevel : int { base = 0, v3 = 1, v4 = 2 };

// The level in use: the best this processor has, unless set_simd_level chose another.
SimdLevel simd_level();
const char* simd_level_name(SimdLevel level);
// False if the name is unknown, or not served by this build and processor.
bool set_simd_level(const char* name);

}  // namespace hyperfocal
