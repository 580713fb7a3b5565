// Owned, 64-byte aligned bytes, counted. Together with Tensor the only owner of big memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"

namespace sutra {

// All AlignedBuffers of the process. Read by `info`, the status line and the memory tests.
struct MemoryUse {
  uint64_t current_bytes;
  uint64_t peak_bytes;
};
MemoryUse memory_use();
void reset_peak_memory();

// Test hook: the n-th allocation from now on fails (n = 0: the next). Negative turns it off.
void fail_allocation_after(int64_t n);

// Of new memory. kUndefined is for those who write every byte before anything is read: large weights, which else
// would be written twice.
enum class Contents : uint8_t { kZero, kUndefined };

class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 64;

  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();

  // size_bytes may come from a file: kOutOfMemory instead of a trap.
  static Result<AlignedBuffer> create(uint64_t size_bytes, Contents contents = Contents::kZero);

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

  // The buffer as elements of T; size() must be a multiple of sizeof(T).
  template <class T>
  [[nodiscard]] std::span<T> as() {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_), size_ / sizeof(T)};
  }

 private:
  void release();
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sutra
