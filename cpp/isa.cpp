#include "isa.h"

#include <atomic>
#include <cstring>

namespace hyperfocal {
namespace {

bool served(SimdLevel level) {
    if (level == SimdLevel::base) return true;
#ifdef HYPERFOCAL_X86_LEVELS
    __builtin_cpu_init();
    if (level == SimdLevel::v3) return __builtin_cpu_supports("x86-64-v3");
    if (level == SimdLevel::v4) return __builtin_cpu_supports("x86-64-v4");
#endif
    return false;
}

SimdLevel best() {
    if (served(SimdLevel::v4)) return SimdLevel::v4;
    return served(SimdLevel::v3) ? SimdLevel::v3 : SimdLevel::base;
}

std::atomic<SimdLevel>& current() {
    static std::atomic<SimdLevel> level{best()};
    return level;
}

}  // namespace

SimdLevel simd_level() { return current().load(std::memory_order_relaxed); }

const char* simd_level_name(SimdLevel level) {
    static const char* const names[] = {"base", "v3", "v4"};
    return names[static_cast<int>(level)];
}

bool set_simd_level(const char* name) {
    for (const SimdLevel level : {SimdLevel::base, SimdLevel::v3, SimdLevel::v4}) {
        if (std::strcmp(name, simd_level_name(level)) == 0 && served(level)) {
            current().store(level);
            return true;
        }
    }
    return false;
}

}  // namespace hyperfocal
