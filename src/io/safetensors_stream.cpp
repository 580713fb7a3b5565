#include "io/safetensors_stream.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace sutra {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they lie in the file");

SafetensorsStream::SafetensorsStream(std::string source, uint64_t file_size, TensorSink& sink)
    : source_(std::move(source)), file_size_(file_size), sink_(sink) {}

ByteRange SafetensorsStream::wanted() const {
  // Who gives more than the header has has given a piece: that is dropped, or used.
  return in_order() || !run_ ? ByteRange{at_, file_size_ - at_} : run_->wanted(at_);
}

Status SafetensorsStream::feed(std::span<const std::byte> chunk) {
  if (error_) return std::unexpected(*error_);
  const ByteRange range = wanted();
  if (chunk.size() > range.size) {
    return keep(fail(ErrorCode::kMalformed, "more bytes came than the ", file_size_, " announced"));
  }
  at_ = range.offset + chunk.size();
  return keep(consume(range.offset, chunk));
}

Status SafetensorsStream::finish() {
  if (error_) return std::unexpected(*error_);
  if (!run_ || wanted().size > 0) {
    return keep(fail(ErrorCode::kTruncated, "the file ends after ", at_, " bytes; expected ",
                     std::max(file_size_, kSafetensorsLengthBytes)));
  }
  return {};
}

Status SafetensorsStream::keep(Status status) {
  if (status) return status;
  error_ = Error{status.error().code, concat(source_, ": ", status.error().message)};
  header_json_ = {};
  return std::unexpected(*error_);
}

Status SafetensorsStream::consume(uint64_t at, std::span<const std::byte> chunk) {
  if (!run_) {
    const size_t n_bytes = chunk.size();
    SUTRA_TRY(read_length(chunk));
    SUTRA_TRY(read_header(chunk));
    if (!run_) return {};
    at += n_bytes - chunk.size();
  }
  return run_->give(at, chunk);
}

// Moves bytes from the front of `chunk` to `target` from `filled` on, as many as both have room for.
static void move_bytes(std::span<const std::byte>& chunk, std::span<std::byte> target, size_t& filled) {
  const size_t n = std::min(chunk.size(), target.size() - filled);
  if (n == 0) return;
  std::memcpy(target.data() + filled, chunk.data(), n);
  filled += n;
  chunk = chunk.subspan(n);
}

Status SafetensorsStream::read_length(std::span<const std::byte>& chunk) {
  if (length_filled_ == length_bytes_.size()) return {};
  move_bytes(chunk, length_bytes_, length_filled_);
  if (length_filled_ < length_bytes_.size()) return {};
  SUTRA_ASSIGN(const uint64_t header_bytes, safetensors_header_bytes(length_bytes_, file_size_));
  SUTRA_ASSIGN(header_json_, AlignedBuffer::create(header_bytes));
  return {};
}

Status SafetensorsStream::read_header(std::span<const std::byte>& chunk) {
  if (length_filled_ < length_bytes_.size()) return {};
  move_bytes(chunk, header_json_.bytes(), header_filled_);
  if (header_filled_ < header_json_.size()) return {};
  SUTRA_ASSIGN(SafetensorsHeader header, parse_safetensors_header(header_json_.bytes(), file_size_));
  header_json_ = {};
  header_ = std::move(header);
  SUTRA_ASSIGN(run_, TensorRun::create(header_->tensors, sink_));
  return {};
}

}  // namespace sutra
