// Scratch memory of the forward pass, allocated once for the longest chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/aligned_buffer.h"
#include "base/assert.h"
#include "base/checked.h"

namespace sutra {

// Hands out aligned pieces of a block, in order. Over a null block it only measures.
class Arena {
 public:
  Arena() = default;
  explicit Arena(std::span<std::byte> block) : block_(block), measuring_(false) {}

  template <class T>
  T* take(size_t count) {
    const size_t offset = used_;
    used_ += round_up(count * sizeof(T), AlignedBuffer::kAlignment);
    if (measuring_) return nullptr;
    SUTRA_ASSERT(used_ <= block_.size());
    return reinterpret_cast<T*>(block_.data() + offset);
  }
  [[nodiscard]] size_t used() const { return used_; }

 private:
  std::span<std::byte> block_;
  size_t used_ = 0;
  bool measuring_ = true;
};

struct Workspace {
  AlignedBuffer buffer;
  size_t max_tokens = 0;

  [[nodiscard]] bool contains(const float* x) const {
    const auto* const byte = reinterpret_cast<const std::byte*>(x);
    return byte >= buffer.data() && byte < buffer.data() + buffer.size();
  }
};

}  // namespace sutra
