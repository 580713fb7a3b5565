// The one way in for safetensors: a parser that is given a file from its first byte to its last, or the places in it that
// the sink wants, in chunks of any size.
//
// Each tensor's bytes go to a sink as they come, so the file is never held as a whole: peak = what the sink
// keeps + header + the caller's chunk. The same code serves a native file, a browser's response body, a File and a
// byte array.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "io/safetensors.h"
#include "io/tensor_reader.h"
#include "io/tensor_run.h"
#include "io/tensor_sink.h"

namespace sutra {

class SafetensorsStream final : public TensorReader {
 public:
  // `source` names the file in messages; `file_size` is its size in bytes, against which every length inside is
  // checked before anything is allocated. `sink` must outlive the stream.
  SafetensorsStream(std::string source, uint64_t file_size, TensorSink& sink);

  // The first of the bytes that are wanted. The first error is kept and returned from then on. Errors: those of
  // io/safetensors.h; kMalformed for more bytes than file_size and for names that the sink has already;
  // kOutOfMemory; those of the sink.
  Status feed(std::span<const std::byte> chunk);

  // After the last byte: kTruncated when fewer than file_size came.
  Status finish() override;

  [[nodiscard]] ByteRange wanted() const override;
  [[nodiscard]] bool in_order() const override { return !sink_.leaves_bytes(); }
  Status give(std::span<const std::byte> bytes) override { return feed(bytes); }
  [[nodiscard]] const std::vector<TensorEntry>* tensors() const override {
    return header_ ? &header_->tensors : nullptr;
  }

  // Once the header is complete, else null: for inspection and for progress.
  [[nodiscard]] const SafetensorsHeader* header() const { return header_ ? &*header_ : nullptr; }
  // Where the bytes end that came last.
  [[nodiscard]] uint64_t position() const { return at_; }

 private:
  Status consume(uint64_t at, std::span<const std::byte> chunk);
  Status read_length(std::span<const std::byte>& chunk);
  Status read_header(std::span<const std::byte>& chunk);
  // Names the source in an error and keeps it.
  Status keep(Status status);

  std::string source_;
  uint64_t file_size_;
  TensorSink& sink_;

  uint64_t at_ = 0;
  std::optional<Error> error_;

  std::array<std::byte, kSafetensorsLengthBytes> length_bytes_{};
  size_t length_filled_ = 0;
  AlignedBuffer header_json_;
  size_t header_filled_ = 0;
  std::optional<SafetensorsHeader> header_;

  std::optional<TensorRun> run_;
};

}  // namespace sutra
