// A file of tensors in any format that is read, told by its first bytes and never by its name: safetensors, GGUF, or a file of
// torch.save.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "io/gguf.h"
#include "io/tensor_reader.h"
#include "io/tensor_sink.h"

namespace sutra {

class TensorFile final : public TensorReader {
 public:
  // `source` names the file in messages. `sink` must outlive the reader.
  TensorFile(std::string source, uint64_t file_size, TensorSink& sink);

  [[nodiscard]] ByteRange wanted() const override;
  // True as long as the format is not known, which the first 16 bytes tell.
  [[nodiscard]] bool in_order() const override { return !reader_ || reader_->in_order(); }
  Status give(std::span<const std::byte> bytes) override;
  Status finish() override;
  [[nodiscard]] const std::vector<TensorEntry>* tensors() const override {
    return reader_ ? reader_->tensors() : nullptr;
  }
  // Of a GGUF file, once it is known; else null.
  [[nodiscard]] const GgufHeader* gguf_header() const { return gguf_ != nullptr ? gguf_->header() : nullptr; }

 private:
  Status choose();
  [[nodiscard]] Status named(Status status) const;

  std::string source_;
  uint64_t file_size_;
  TensorSink& sink_;
  std::array<std::byte, 16> first_bytes_{};
  size_t n_first_;             // of them that the file has
  size_t filled_ = 0;          // and that came
  bool names_source_ = false;  // whether the reader's own messages name the file
  std::unique_ptr<TensorReader> reader_;
  const GgufReader* gguf_ = nullptr;  // reader_, where it is one
};

}  // namespace sutra
