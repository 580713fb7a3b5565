#include "io/safetensors_stream.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace sutra {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they lie in the file");

SafetensorsStream::SafetensorsStream(std::string source, uint64_t file_size, TensorSink& sink)
    : source_(std::move(source)), file_size_(file_size), sink_(sink) {}

Status SafetensorsStream::feed(std::span<const std::byte> chunk) {
  if (error_) return std::unexpected(*error_);
  if (chunk.size() > file_size_ - fed_bytes_) {
    return keep(fail(ErrorCode::kMalformed, "more bytes came than the ", file_size_, " announced"));
  }
  fed_bytes_ += chunk.size();
  return keep(consume(chunk));
}

Status SafetensorsStream::finish() {
  if (error_) return std::unexpected(*error_);
  if (fed_bytes_ < file_size_ || !header_) {
    return keep(fail(ErrorCode::kTruncated, "the file ends after ", fed_bytes_, " bytes; expected ",
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

Status SafetensorsStream::consume(std::span<const std::byte> chunk) {
  if (!header_) {
    SUTRA_TRY(read_length(chunk));
    SUTRA_TRY(read_header(chunk));
    if (!header_) return {};
  }
  return read_tensors(chunk);
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
  for (const TensorEntry& entry : header.tensors) {
    if (sink_.contains(entry.name)) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(entry.name), "' came with another file already");
    }
  }
  header_ = std::move(header);
  return {};
}

Status SafetensorsStream::read_tensors(std::span<const std::byte> chunk) {
  while (next_entry_ < header_->tensors.size()) {
    const TensorEntry& entry = header_->tensors[next_entry_];
    if (!tensor_open_) {
      if (chunk.empty() && entry.begin < entry.end) return {};  // not before its first byte is here
      SUTRA_TRY(sink_.begin(entry));
      tensor_open_ = true;
      tensor_left_ = entry.end - entry.begin;
    }
    const auto piece = chunk.first(static_cast<size_t>(std::min<uint64_t>(chunk.size(), tensor_left_)));
    SUTRA_TRY(sink_.write(piece));
    chunk = chunk.subspan(piece.size());
    tensor_left_ -= piece.size();
    if (tensor_left_ > 0) return {};
    SUTRA_TRY(sink_.end(entry));
    tensor_open_ = false;
    ++next_entry_;
  }
  return {};
}

}  // namespace sutra
