// Work on models that does not run them for people: converting, quantising. Modules of their own, fetched when they are
// wanted, so that a page that runs a model does not pay for them. bindings/js/workshop.ts, converter.ts and quantizer.ts call it. One model a
// module: its weights are fed (shared.cpp) and what lies beside them, then one of convert.cpp and quantize.cpp begins.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "base/aligned_buffer.h"
#include "runtime/byte_sink.h"
#include "runtime/published_model.h"

namespace sutra::wasm {

// Keeps what one call writes. Of a large tensor, so that memory that is refused is an error and no trap.
class BufferSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte> bytes) override {
    constexpr size_t kPadding = 64;  // follows a tensor
    if (bytes.size() > buffer_.size() - size_) {
      SUTRA_ASSIGN(AlignedBuffer larger,
                   AlignedBuffer::create(uint64_t{size_} + size_ / 2 + bytes.size() + kPadding, Contents::kUndefined));
      std::ranges::copy(this->bytes(), larger.data());
      buffer_ = std::move(larger);
    }
    std::ranges::copy(bytes, buffer_.data() + size_);
    size_ += bytes.size();
    return {};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return buffer_.bytes().first(size_); }
  void clear() {
    buffer_ = AlignedBuffer();
    size_ = 0;
  }

 private:
  AlignedBuffer buffer_;
  size_t size_ = 0;
};

// What is fed beside the weights.
Companions& companions();
// Those that stay in the files, where they do.
std::optional<LeftMatrices>& left_matrices();
// Where the file with the weights goes.
BufferSink& file_sink();

}  // namespace sutra::wasm
