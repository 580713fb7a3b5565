// Where a safetensors stream puts what it reads: one tensor after the other, in the order of their bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/tensor_map.h"

namespace sutra {

// For each tensor: begin when its first byte is there, write until all its bytes came that are wanted, end. Nothing is
// called after an error. The entry's sizes agree with each other and with the file's size; more is not known of them.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  // Whether a tensor of this name came already, with this file or another. Names within a file are unique.
  [[nodiscard]] virtual bool contains(std::string_view name) const = 0;
  // How many of a tensor's first bytes are wanted, at least one of those there are. Fewer than all only where
  // TensorEntry::file_offset says where the others are, and leaves_bytes().
  [[nodiscard]] virtual uint64_t bytes_wanted(const TensorEntry& entry) const { return entry.end - entry.begin; }
  // Whether there may be tensors that not all bytes are wanted of: their files are read in places.
  [[nodiscard]] virtual bool leaves_bytes() const { return false; }
  virtual Status begin(const TensorEntry& entry) = 0;
  virtual Status write(std::span<const std::byte> bytes) = 0;
  virtual Status end(const TensorEntry& entry) = 0;
};

struct TensorMapSinkOptions {
  // Refuse NaN and infinity in float tensors (kNonFinite, naming tensor and position) as each completes.
  bool check_finite = true;
};

// Whole tensors into a map, as the file has them. Errors: kOutOfMemory, kNonFinite.
class TensorMapSink final : public TensorSink {
 public:
  using Options = TensorMapSinkOptions;

  // `out` must outlive the sink; after an error it holds the tensors finished so far and is of no use.
  explicit TensorMapSink(TensorMap& out, Options options = {}) : out_(out), options_(options) {}

  [[nodiscard]] bool contains(std::string_view name) const override { return out_.contains(name); }
  Status begin(const TensorEntry& entry) override;
  Status write(std::span<const std::byte> bytes) override;
  Status end(const TensorEntry& entry) override;

 private:
  TensorMap& out_;
  Options options_;
  Tensor tensor_;
  size_t filled_ = 0;
};

}  // namespace sutra
