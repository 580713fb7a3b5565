// GGUF files: the header (io/gguf_header.h), then each tensor's bytes to a sink. For a sink that wants all of them nothing
// is asked for twice and nothing left out, so a file can be read while it is being downloaded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "io/gguf_header.h"
#include "io/tensor_reader.h"
#include "io/tensor_run.h"
#include "io/tensor_sink.h"

namespace sutra {

inline constexpr size_t kGgufMagicBytes = 4;
[[nodiscard]] bool looks_like_gguf(std::span<const std::byte> first_bytes);

class GgufReader final : public TensorReader {
 public:
  // Without a sink only the header is read. `sink` must outlive the reader.
  GgufReader(uint64_t file_size, TensorSink* sink);

  [[nodiscard]] ByteRange wanted() const override;
  [[nodiscard]] bool in_order() const override { return sink_ == nullptr || !sink_->leaves_bytes(); }
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

  uint64_t file_size_;
  TensorSink* sink_;
  uint64_t at_ = 0;         // where the bytes end that came last
  uint64_t header_wanted_;  // bytes, while the header is read
  GgufHeaderParser parser_;
  std::vector<std::byte> held_;  // of an item of the header that is not whole yet; then what came behind the header
  std::optional<GgufHeader> header_;
  std::optional<TensorRun> run_;
};

}  // namespace sutra
