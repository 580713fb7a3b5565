#include "io/tensor_file.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "io/safetensors_stream.h"
#include "io/torch_file.h"

namespace sutra {

TensorFile::TensorFile(std::string source, uint64_t file_size, TensorSink& sink)
    : source_(std::move(source)),
      file_size_(file_size),
      sink_(sink),
      n_first_(static_cast<size_t>(std::min<uint64_t>(file_size, first_bytes_.size()))) {
  static_assert(kTorchMagicBytes <= sizeof(first_bytes_));
}

ByteRange TensorFile::wanted() const {
  if (!reader_) return {filled_, n_first_ - filled_};
  return reader_->wanted();
}

Status TensorFile::give(std::span<const std::byte> bytes) {
  if (reader_) return named(reader_->give(bytes));
  SUTRA_ASSERT(bytes.size() <= n_first_ - filled_);
  std::ranges::copy(bytes, first_bytes_.begin() + static_cast<std::ptrdiff_t>(filled_));
  filled_ += bytes.size();
  return filled_ < n_first_ ? Status() : named(choose());
}

Status TensorFile::choose() {
  const std::span<const std::byte> first = std::span(first_bytes_).first(n_first_);
  if (looks_like_torch_file(first)) {
    reader_ = std::make_unique<TorchReader>(file_size_, &sink_);
    return {};
  }
  if (looks_like_gguf(first)) {
    auto gguf = std::make_unique<GgufReader>(file_size_, &sink_);
    gguf_ = gguf.get();
    reader_ = std::move(gguf);
    return reader_->give(first);
  }
  names_source_ = true;
  reader_ = std::make_unique<SafetensorsStream>(source_, file_size_, sink_);
  return first.empty() ? Status() : reader_->give(first);
}

Status TensorFile::finish() {
  if (!reader_ && filled_ == n_first_) SUTRA_TRY(choose());  // an empty file
  if (!reader_) return fail(ErrorCode::kTruncated, source_, ": the file ends after ", filled_, " bytes");
  return named(reader_->finish());
}

Status TensorFile::named(Status status) const {
  if (status || names_source_) return status;
  return fail(status.error().code, source_, ": ", status.error().message);
}

}  // namespace sutra
