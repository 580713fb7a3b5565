// GGUF files, from their first byte to their last: the header (io/gguf_header.h), then each tensor's bytes to a sink.
// Nothing is asked for twice and nothing left out, so a file can be read while it is being downloaded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "io/gguf_header.h"
#include "io/tensor_reader.h"
#include "io/tensor_sink.h"

namespace sutra {

inline constexpr size_t kGgufMagicBytes = 4;
[[nodiscard]] bool looks_like_gguf(std::span<const std::byte> first_bytes);

class GgufReader final : public TensorReader {
 public:
  // Without a sink only the header is read. `sink` must outlive the reader.
  GgufReader(uint64_t file_size, TensorSink* sink);

  [[nodiscard]] ByteRange wanted() const override { return wanted_; }
  [[nodiscard]] bool in_order() const override { return true; }
  // Errors: those of GgufHeaderParser; kMalformed for a name that the sink has already; those of the sink.
  Status give(std::span<const std::byte> bytes) override;
  Status finish() override;
  [[nodiscard]] const std::vector<TensorEntry>* tensors() const override {
    return header_ ? &header_->tensors : nullptr;
  }
  // Once it is known, else null.
  [[nodiscard]] const GgufHeader* header() const { return header_ ? &*header_ : nullptr; }

 private:
  Status give_header(std::span<const std::byte> bytes);
  Status end_header();
  Status give_held();
  Status give_data(std::span<const std::byte> bytes);

  uint64_t file_size_;
  TensorSink* sink_;
  ByteRange wanted_;
  GgufHeaderParser parser_;
  std::vector<std::byte> held_;  // of an item of the header that is not whole yet; then what came behind the header
  uint64_t data_at_ = 0;         // where the bytes begin that were not given to the sink
  std::optional<GgufHeader> header_;

  size_t next_entry_ = 0;
  bool tensor_open_ = false;
};

}  // namespace sutra
