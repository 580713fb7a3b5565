#include "io/tensor_run.h"

#include <algorithm>

namespace sutra {

Result<TensorRun> TensorRun::create(std::span<const TensorEntry> entries, TensorSink& sink) {
  for (const TensorEntry& entry : entries) {
    if (!sink.contains(entry.name)) continue;
    return fail(ErrorCode::kMalformed, "tensor '", printable(entry.name), "' came with another file already");
  }
  return TensorRun(entries, sink);
}

ByteRange TensorRun::wanted(uint64_t at) const {
  for (const TensorEntry& entry : entries_.subspan(next_)) {
    const uint64_t begin = std::max(at, entry.file_offset), end = wanted_end(entry);
    if (begin < end) return {begin, end - begin};
  }
  return {at, 0};
}

Status TensorRun::give(uint64_t at, std::span<const std::byte> bytes) {
  for (; next_ < entries_.size(); ++next_) {
    const TensorEntry& entry = entries_[next_];
    const uint64_t end = wanted_end(entry);
    if (at < entry.file_offset) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(entry.file_offset - at, bytes.size()));
      bytes = bytes.subspan(n);
      at += n;
    }
    if (bytes.empty() && entry.file_offset < end) return {};  // not before its first byte is here
    if (!is_open_) SUTRA_TRY(sink_->begin(entry));
    is_open_ = true;
    const auto piece = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), end - std::min(at, end))));
    SUTRA_TRY(sink_->write(piece));
    bytes = bytes.subspan(piece.size());
    at += piece.size();
    if (at < end) return {};
    SUTRA_TRY(sink_->end(entry));
    is_open_ = false;
  }
  return {};
}

}  // namespace sutra
