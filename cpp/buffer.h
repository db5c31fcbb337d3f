// Large scratch memory that is kept for the next call: fresh pages cost more than the kernels that would fill them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hyperfocal {

// Gives everything that is kept, and in use by no buffer, back to the system. Returns how many bytes that were.
size_t release_memory();

// 64-byte aligned, uninitialised, in huge pages where the system grants them.
class RawBuffer {
  public:
    RawBuffer() = default;
    explicit RawBuffer(size_t bytes);
    ~RawBuffer();
    RawBuffer(RawBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
    RawBuffer& operator=(RawBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    void* data() const { return data_; }

  private:
    void* data_ = nullptr;
    size_t capacity_ = 0;
};

template <class T>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(int64_t count) : raw_(static_cast<size_t>(count) * sizeof(T)), count_(count) {}
    T* data() { return static_cast<T*>(raw_.data()); }
    const T* data() const { return static_cast<const T*>(raw_.data()); }
    T& operator[](int64_t i) { return data()[i]; }
    const T& operator[](int64_t i) const { return data()[i]; }
    int64_t size() const { return count_; }

  private:
    RawBuffer raw_;
    int64_t count_ = 0;
};

}  // namespace hyperfocal
