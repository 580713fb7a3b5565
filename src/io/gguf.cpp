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
    : file_size_(file_size), sink_(sink), header_wanted_(std::min(file_size, kHeaderPieceBytes)), parser_(file_size) {}

ByteRange GgufReader::wanted() const {
  if (!header_) return {at_, header_wanted_};
  if (!run_) return {at_, 0};
  return in_order() ? ByteRange{at_, file_size_ - at_} : run_->wanted(at_ - held_.size());
}

Status GgufReader::give(std::span<const std::byte> bytes) {
  const ByteRange range = wanted();
  SUTRA_ASSERT(!bytes.empty() && bytes.size() <= range.size);
  if (header_) {
    if (in_order()) SUTRA_TRY(give_held());
    held_.clear();
    at_ = range.offset + bytes.size();
    return run_->give(range.offset, bytes);
  }
  at_ += bytes.size();
  SUTRA_TRY(give_header(bytes));
  if (!header_) {
    header_wanted_ = std::min(file_size_ - at_, std::max(kHeaderPieceBytes, parser_.n_needed() - held_.size()));
  }
  return {};
}

Status GgufReader::finish() {
  if (header_) SUTRA_TRY(give_held());
  if (header_ && wanted().size == 0) return {};
  return fail(ErrorCode::kTruncated, "the GGUF file ends after ", at_, " bytes, ",
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
  return parser_.is_done() ? end_header() : Status();
}

Status GgufReader::give_held() {
  const std::vector<std::byte> held = std::exchange(held_, {});
  return run_ ? run_->give(at_ - held.size(), held) : Status();
}

Status GgufReader::end_header() {
  header_ = parser_.finish();
  if (sink_ == nullptr) return {};
  SUTRA_ASSIGN(run_, TensorRun::create(header_->tensors, *sink_));
  return {};
}

}  // namespace sutra
