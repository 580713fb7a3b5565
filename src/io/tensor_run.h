// The tensors of a file whose bytes lie one behind the other: which bytes are wanted next, and whose they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/tensor_reader.h"
#include "io/tensor_sink.h"

namespace sutra {

class TensorRun {
 public:
  // `entries` in the order of their bytes; they and the sink must outlive this. kMalformed: the sink has one already.
  static Result<TensorRun> create(std::span<const TensorEntry> entries, TensorSink& sink);

  // The next bytes from `at` on that the sink wants; size 0 when there are none.
  [[nodiscard]] ByteRange wanted(uint64_t at) const;
  // Bytes of the file from `at` on, behind those given before. What nobody wants is dropped.
  Status give(uint64_t at, std::span<const std::byte> bytes);

 private:
  TensorRun(std::span<const TensorEntry> entries, TensorSink& sink) : entries_(entries), sink_(&sink) {}
  [[nodiscard]] uint64_t wanted_end(const TensorEntry& entry) const {
    return entry.file_offset + sink_->bytes_wanted(entry);
  }

  std::span<const TensorEntry> entries_;
  TensorSink* sink_;
  size_t next_ = 0;  // the tensor being read, or the next one
  bool is_open_ = false;
};

}  // namespace sutra
