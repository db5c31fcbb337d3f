#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>

#ifndef _WIN32
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace hyperfocal {
namespace {

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#endif
}

// How long a thread looks for what it waits for before it sleeps. Being woken takes hundreds of microseconds on a virtual
// machine, and one rendering has a dozen stages that follow each other within tens: long enough to bridge those, short
// enough not to keep a core from somebody else. The caller waits longer for a worker's last piece of work than a worker for
// another job, as that is sure to end.
constexpr std::chrono::microseconds kWorkerSpin{250}, kCallerSpin{2000};

// Calls ready() until it is true or the time is up.
template <class Ready>
void spin(std::chrono::microseconds time, Ready&& ready) {
    const auto end = std::chrono::steady_clock::now() + time;
    do {
        for (int i = 0; i < 32; ++i) {
            if (ready()) return;
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
}

struct Pool {
    // Job, written only while closed and empty.
    Task task = nullptr;
    void* context = nullptr;
    int64_t count = 0;
    std::atomic<int64_t> next{0};
    std::atomic<int> next_worker{1};
    int limit = 1;

    // Bit 30: no job may be joined. Below: workers now inside the job (or about to notice that it is closed).
    static constexpr int kClosed = 1 << 30;
    std::atomic<int> inside{kClosed};
    std::atomic<uint32_t> generation{0};
    std::mutex in_use;
    int workers = 0;

    void work(int worker) {
        for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(context, i, worker);
    }

    void worker_loop() {
        uint32_t seen = generation.load(std::memory_order_acquire);
        // A worker born for a job may join it at once.
        for (;;) {
            if (!(inside.fetch_add(1, std::memory_order_acq_rel) & kClosed)) {
                const int worker = next_worker.fetch_add(1, std::memory_order_relaxed);
                if (worker < limit) work(worker);
            }
            if (inside.fetch_sub(1, std::memory_order_acq_rel) == (kClosed | 1)) inside.notify_one();
            spin(kWorkerSpin, [&] { return generation.load(std::memory_order_acquire) != seen; });
            generation.wait(seen, std::memory_order_acquire);
            seen = generation.load(std::memory_order_acquire);
        }
    }

    void run(int threads, int64_t n, Task body, void* body_context) {
        for (; workers < threads - 1; ++workers) std::thread([this] { worker_loop(); }).detach();
        task = body;
        context = body_context;
        count = n;
        limit = threads;
        next.store(0, std::memory_order_relaxed);
        next_worker.store(1, std::memory_order_relaxed);
        inside.fetch_and(~kClosed, std::memory_order_acq_rel);
        generation.fetch_add(1, std::memory_order_acq_rel);
        generation.notify_all();
        work(0);
        // Whoever has not woken by now is not waited for: it finds the job closed.
        inside.fetch_or(kClosed, std::memory_order_acq_rel);
        spin(kCallerSpin, [&] { return inside.load(std::memory_order_acquire) == kClosed; });
        for (int now; (now = inside.load(std::memory_order_acquire)) != kClosed;)
            inside.wait(now, std::memory_order_acquire);
    }
};

// Never destroyed: sleeping workers must not outlive what they sleep on.
std::atomic<Pool*> the_pool{nullptr};

#ifndef _WIN32
// A forked child inherits no workers: it gets a pool of its own and leaves the old one be. (Registered before main, not at
// the first use: a child forked in the middle of that would wait for its end for ever.)
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr); });
#endif

Pool& pool() {
    Pool* existing = the_pool.load(std::memory_order_acquire);
    if (existing) return *existing;
    auto* fresh = new Pool;
    if (the_pool.compare_exchange_strong(existing, fresh)) return *fresh;
    delete fresh;
    return *existing;
}

}  // namespace

void run_parallel(int threads, int64_t count, Task task, void* context) {
    threads = static_cast<int>(std::min<int64_t>(std::min(threads, kMaxThreads), count));
    if (threads > 1) {
        Pool& shared = pool();
        if (shared.in_use.try_lock()) {
            std::lock_guard<std::mutex> hold(shared.in_use, std::adopt_lock);
            shared.run(threads, count, task, context);
            return;
        }
    }
    for (int64_t i = 0; i < count; ++i) task(context, i, 0);
}

}  // namespace hyperfocal
