// Writes a safetensors file front to back: the header from the list of tensors, then one tensor at a time.
//
// Nothing but the tensor at hand is held. The JSON is padded with spaces so that the data section begins at a
// multiple of 8, and every tensor must begin at a multiple of its item size (readers map the file and
// refuse anything else): order_for_alignment() gives an order in which any list does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/byte_sink.h"
#include "io/safetensors.h"
#include "tensor/tensor.h"

namespace sutra {

struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  Shape shape;
};

// The order is kept but for tensors whose bytes are no multiple of 8: those come last, of wider items first.
void order_for_alignment(std::vector<TensorSpec>& specs);

class SafetensorsWriter {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  // Writes the length and the JSON to `sink`, which must outlive the writer. kInvalidArgument: a name that is
  // empty, used twice, reserved ("__metadata__") or not printable UTF-8, or an order that misaligns a tensor.
  static Result<SafetensorsWriter> create(ByteSink& sink, const std::vector<TensorSpec>& specs,
                                          const Metadata& metadata = {{"format", "pt"}});

  // The next tensor of the list; its name, dtype and shape must be those announced (kInvalidArgument).
  Status write(std::string_view name, const TensorView& tensor);
  // The first n tensors are in the file already. Before any write().
  void skip(size_t n) { next_entry_ = n; }
  // Bytes of the file that are in it.
  [[nodiscard]] uint64_t position() const {
    if (next_entry_ == entries_.size()) return file_bytes_;
    return file_bytes_ - (entries_.back().end - entries_[next_entry_].begin);
  }
  // kInvalidArgument when announced tensors were not written.
  Status finish();

  // The layout of the file: what will be where.
  [[nodiscard]] const std::vector<TensorEntry>& entries() const { return entries_; }
  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }

 private:
  SafetensorsWriter(ByteSink& sink, std::vector<TensorEntry> entries) : sink_(&sink), entries_(std::move(entries)) {}

  ByteSink* sink_;
  std::vector<TensorEntry> entries_;
  uint64_t file_bytes_ = 0;
  size_t next_entry_ = 0;
};

}  // namespace sutra
