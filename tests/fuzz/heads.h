// A file as it is read by somebody who leaves all tensors but their first byte where they are. Promises: what is asked for
// lies inside the file, and so does what is left; the byte that comes is the one of that place.
#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "fuzz.h"
#include "io/tensor_reader.h"
#include "io/tensor_sink.h"

namespace sutra {

class HeadSink final : public TensorSink {
 public:
  explicit HeadSink(std::span<const std::byte> file) : file_(file) {}

  [[nodiscard]] bool contains(std::string_view name) const override { return names_.contains(name); }
  [[nodiscard]] uint64_t bytes_wanted(const TensorEntry& entry) const override {
    return is_left(entry) ? 1 : entry.end - entry.begin;
  }
  [[nodiscard]] bool leaves_bytes() const override { return true; }
  Status begin(const TensorEntry& entry) override {
    entry_ = &entry;
    return {};
  }
  Status write(std::span<const std::byte> bytes) override {
    if (!is_left(*entry_)) return {};
    const uint64_t n_bytes = entry_->end - entry_->begin;
    FUZZ_CHECK(entry_->file_offset <= file_.size() && n_bytes <= file_.size() - entry_->file_offset);
    FUZZ_CHECK(bytes.size() <= 1);
    if (!bytes.empty()) FUZZ_CHECK(bytes[0] == file_[static_cast<size_t>(entry_->file_offset)]);
    return {};
  }
  Status end(const TensorEntry& entry) override {
    names_.insert(entry.name);
    return {};
  }

 private:
  static bool is_left(const TensorEntry& entry) { return entry.file_offset > 0 && entry.end - entry.begin > 1; }

  std::span<const std::byte> file_;
  std::set<std::string, std::less<>> names_;
  const TensorEntry* entry_ = nullptr;
};

inline void read_heads(TensorReader& reader, std::span<const std::byte> file) {
  Status status;
  for (ByteRange range = reader.wanted(); range.size > 0 && status; range = reader.wanted()) {
    FUZZ_CHECK(range.offset <= file.size() && range.size <= file.size() - range.offset);
    status = reader.give(file.subspan(range.offset, std::min<size_t>(range.size, 97)));
  }
  if (status) status = reader.finish();
  FUZZ_CHECK(status || !status.error().message.empty());
}

}  // namespace sutra
