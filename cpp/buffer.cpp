#include "buffer.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <malloc.h>
#else
#include <pthread.h>
#include <sys/mman.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

#include <cstring>
#endif

namespace hyperfocal {
namespace {

constexpr size_t kSmall = size_t(1) << 16;   // below this malloc is as good
constexpr size_t kHugePage = size_t(1) << 21;
constexpr size_t kKeptBytes = size_t(1) << 30;
constexpr size_t kKeptBlocks = 64;
constexpr uint64_t kIdleReturns = 256;  // about ten renderings with their gradients

void* allocate(size_t bytes) {
    const size_t alignment = bytes >= kHugePage ? kHugePage : 64;
#ifdef _WIN32
    void* block = _aligned_malloc(bytes, alignment);
    if (!block) throw std::bad_alloc();
#else
    void* block = nullptr;
    if (posix_memalign(&block, alignment, bytes) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes >= kHugePage) madvise(block, bytes, MADV_HUGEPAGE);  // a refusal costs speed only
#endif
#endif
    return block;
}

// What AddressSanitizer cannot see for itself, as blocks are larger than asked for and change hands: only the first `bytes`
// may be touched, and they hold nothing yet (all bits set is not a number).
void guard([[maybe_unused]] void* block, [[maybe_unused]] size_t bytes, [[maybe_unused]] size_t capacity) {
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    std::memset(block, 0xFF, bytes);
    ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + bytes, capacity - bytes);
#endif
}

void release(void* block, size_t capacity) {
    guard(block, capacity, capacity);
#ifdef _WIN32
    _aligned_free(block);
#else
    std::free(block);
#endif
}

struct Kept {
    void* block;
    size_t capacity;
    uint64_t returned;  // when, in blocks returned to the store
};

struct Store {
    std::mutex mutex;
    std::vector<Kept> kept;  // oldest first
    size_t bytes = 0;
    uint64_t returns = 0;
};

// Never destroyed: buffers may be freed while the interpreter shuts down.
Store& the_store() {
    static Store* store = new Store;
    return *store;
}

#ifndef _WIN32
// A child forked while another thread holds the mutex would wait for it for ever: nobody forks meanwhile.
[[maybe_unused]] const int at_fork =
    pthread_atfork([] { the_store().mutex.lock(); }, [] { the_store().mutex.unlock(); }, [] { the_store().mutex.unlock(); });
#endif

}  // namespace

RawBuffer::RawBuffer(size_t bytes) {
    const size_t grain = bytes >= kHugePage ? kHugePage : bytes >= kSmall ? 4096 : 64;
    capacity_ = std::max<size_t>((bytes + grain - 1) / grain, 1) * grain;
    if (capacity_ >= kSmall) {
        Store& store = the_store();
        std::lock_guard<std::mutex> hold(store.mutex);
        // The smallest that fits without wasting more than half of it.
        size_t best = store.kept.size();
        for (size_t i = 0; i < store.kept.size(); ++i) {
            const size_t c = store.kept[i].capacity;
            if (c >= capacity_ && c <= 2 * capacity_ && (best == store.kept.size() || c < store.kept[best].capacity))
                best = i;
        }
        if (best < store.kept.size()) {
            data_ = store.kept[best].block;
            capacity_ = store.kept[best].capacity;
            store.bytes -= capacity_;
            store.kept.erase(store.kept.begin() + static_cast<std::ptrdiff_t>(best));
            guard(data_, bytes, capacity_);
            return;
        }
    }
    data_ = allocate(capacity_);
    guard(data_, bytes, capacity_);
}

RawBuffer::~RawBuffer() {
    if (!data_) return;
    if (capacity_ < kSmall || capacity_ > kKeptBytes) {
        release(data_, capacity_);
        return;
    }
    guard(data_, 0, capacity_);
    Store& store = the_store();
    std::lock_guard<std::mutex> hold(store.mutex);
    store.kept.push_back({data_, capacity_, ++store.returns});
    store.bytes += capacity_;
    // While a scene grows, every step wants blocks a little larger than the last: what nobody took for long goes.
    while (store.bytes > kKeptBytes || store.kept.size() > kKeptBlocks ||
           store.returns - store.kept.front().returned > kIdleReturns) {
        release(store.kept.front().block, store.kept.front().capacity);
        store.bytes -= store.kept.front().capacity;
        store.kept.erase(store.kept.begin());
    }
}

size_t release_memory() {
    Store& store = the_store();
    std::vector<Kept> freed;
    size_t bytes;
    {
        std::lock_guard<std::mutex> hold(store.mutex);
        freed.swap(store.kept);
        bytes = std::exchange(store.bytes, 0);
    }
    for (const Kept& old : freed) release(old.block, old.capacity);
#ifdef __GLIBC__
    malloc_trim(0);  // blocks of up to 32 MiB come from malloc's heap, which would keep them in its turn
#endif
    return bytes;
}

}  // namespace hyperfocal
