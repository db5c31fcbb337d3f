// A small thread pool. No OpenMP: its runtime hangs in a forked child and would be shared with torch's.
#pragma once

#include <cstdint>
#include <type_traits>

namespace hyperfocal {

// Runs task(context, index, worker) for every index in [0, count), on at most `threads` threads, the caller among them.
// Indices are handed out one at a time in rising order; `worker` is in [0, threads) and names a scratch slot that no
// other thread uses during the call. Returns when all are done. Nested or concurrent calls run on the calling thread
// alone, so a result must not depend on which worker ran which index.
using Task = void (*)(void* context, int64_t index, int worker);
void run_parallel(int threads, int64_t count, Task task, void* context);

// The same for any callable body(index, worker). The body must not throw.
template <class Body>
void parallel_for(int threads, int64_t count, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run_parallel(
        threads, count,
        [](void* context, int64_t index, int worker) { (*static_cast<Plain*>(context))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&body)));
}

constexpr int kMaxThreads = 256;

}  // namespace hyperfocal
