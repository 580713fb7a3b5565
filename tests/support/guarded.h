// Output buffers for kernel tests: poisoned, with guard bytes on both sides, at any alignment. Making one also poisons
// the stack that a kernel called next will use, so that a local it reads before writing is a NaN and not yesterday's 0.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace sutra::test {

[[gnu::noinline]] inline void poison_stack() {
  unsigned char below[32 * 1024];
  std::memset(below, 0xff, sizeof below);
  asm volatile("" ::"r"(below) : "memory");  // keeps the stores
}

// n elements of T, every byte 0xff (a NaN as float, -1 as integer), between two runs of guard bytes. The elements
// start `offset` elements after a 64-byte boundary, so that kernels are also tried on unaligned rows.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t n, size_t offset = 0)
      : n_(n), storage_(kAlignment + kGuard + offset * sizeof(T) + n * sizeof(T) + kGuard, kGuardByte) {
    const size_t past_boundary = reinterpret_cast<size_t>(storage_.data()) % kAlignment;
    start_ = kAlignment - past_boundary + kGuard + offset * sizeof(T);
    poison();
    poison_stack();
  }
  Guarded(const Guarded&) = delete;  // a copy would lie at another alignment
  Guarded& operator=(const Guarded&) = delete;

  // Not inlined: g++ 12 then believes that the size may be negative (stringop-overflow).
  [[gnu::noinline]] void poison() { std::memset(storage_.data() + start_, 0xff, n_ * sizeof(T)); }

  [[nodiscard]] T* data() { return reinterpret_cast<T*>(storage_.data() + start_); }
  [[nodiscard]] size_t size() const { return n_; }
  [[nodiscard]] std::span<T> span() { return {data(), n_}; }
  T& operator[](size_t i) { return data()[i]; }

  // Nothing outside the elements was written.
  [[nodiscard]] bool intact() const {
    for (size_t i = 0; i < storage_.size(); ++i) {
      const bool is_guard = i < start_ || i >= start_ + n_ * sizeof(T);
      if (is_guard && storage_[i] != kGuardByte) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kGuard = 128;
  static constexpr unsigned char kGuardByte = 0xa5;

  size_t n_;
  size_t start_ = 0;
  std::vector<unsigned char> storage_;
};

}  // namespace sutra::test
