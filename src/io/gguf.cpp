#include "io/gguf.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.h"

namespace sutra {
namespace {

// Small headers come with the first piece, and looking at one reads no weights worth mentioning.
constexpr uint64_t kHeaderPieceBytes = uint64_t{1} << 16;

}  // namespace

bool looks_like_gguf(std::span<const std::byte> first_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(first_bytes.data()), first_bytes.size());
  return text.starts_with("GGUF");
}

GgufReader::GgufReader(uint64_t file_size, TensorSink* sink)
    : file_size_(file_size), sink_(sink), wanted_{0, std::min(file_size, kHeaderPieceBytes)}, parser_(file_size) {}

Status GgufReader::give(std::span<const std::byte> bytes) {
  SUTRA_ASSERT(!bytes.empty() && bytes.size() <= wanted_.size);
  if (header_) {
    SUTRA_TRY(give_held());
    SUTRA_TRY(give_data(bytes));
  }
  wanted_.offset += bytes.size();
  if (!header_) SUTRA_TRY(give_header(bytes));
  const uint64_t left = file_size_ - wanted_.offset;
  if (!header_) {
    wanted_.size = std::min(left, std::max(kHeaderPieceBytes, parser_.n_needed() - held_.size()));
  } else {
    wanted_.size = sink_ != nullptr ? left : 0;
  }
  return {};
}

Status GgufReader::finish() {
  if (header_) SUTRA_TRY(give_held());
  if (header_ && wanted_.size == 0) return {};
  return fail(ErrorCode::kTruncated, "the GGUF file ends after ", wanted_.offset, " bytes, ",
              header_ ? "before its last tensor does" : "within its header");
}

// What follows the header in its last piece is held until more comes or the file ends: those who read the header first may
// say how they want the tensors.
Status GgufReader::give_header(std::span<const std::byte> bytes) {
  if (held_.empty()) {
    SUTRA_ASSIGN(const size_t n_taken, parser_.take(bytes));
    bytes = bytes.subspan(n_taken);
  } else {
    const size_t n_held = held_.size();
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    if (held_.size() < parser_.n_needed()) return {};
    SUTRA_ASSIGN(const size_t n_taken, parser_.take(held_));
    if (n_taken == 0) return {};  // the item is longer than it seemed
    SUTRA_ASSERT(n_taken >= n_held);
    bytes = bytes.subspan(n_taken - n_held);
  }
  held_.assign(bytes.begin(), bytes.end());
  if (!parser_.is_done()) return {};
  data_at_ = wanted_.offset - held_.size();
  return end_header();
}

Status GgufReader::give_held() {
  const std::vector<std::byte> held = std::exchange(held_, {});
  return give_data(held);
}

Status GgufReader::end_header() {
  header_ = parser_.finish();
  for (const TensorEntry& entry : header_->tensors) {
    if (sink_ != nullptr && sink_->contains(entry.name)) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(entry.name), "' came with another file already");
    }
  }
  return {};
}

// Bytes from data_at_ on: the tensors among them, without what lies between.
Status GgufReader::give_data(std::span<const std::byte> bytes) {
  if (sink_ == nullptr) return {};
  uint64_t at = std::exchange(data_at_, data_at_ + bytes.size());
  while (next_entry_ < header_->tensors.size()) {
    const TensorEntry& entry = header_->tensors[next_entry_];
    const uint64_t begin = header_->data_offset + entry.begin, end = header_->data_offset + entry.end;
    if (at < begin) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(begin - at, bytes.size()));
      bytes = bytes.subspan(n);
      at += n;
    }
    if (bytes.empty()) return {};
    if (!tensor_open_) SUTRA_TRY(sink_->begin(entry));
    tensor_open_ = true;
    const auto piece = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), end - at)));
    SUTRA_TRY(sink_->write(piece));
    bytes = bytes.subspan(piece.size());
    at += piece.size();
    if (at < end) return {};
    SUTRA_TRY(sink_->end(entry));
    tensor_open_ = false;
    ++next_entry_;
  }
  return {};
}

}  // namespace sutra
