// Writes a GGUF file (version 3, little-endian) front to back: the header from the metadata and the list of tensors, then
// one tensor at a time. Nothing but the tensor at hand is held. The format: io/gguf_header.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/byte_sink.h"
#include "io/gguf_metadata.h"
#include "io/safetensors_writer.h"
#include "tensor/tensor.h"

namespace sutra {

class GgufWriter {
 public:
  // Writes the header to `sink`, which must outlive the writer. kInvalidArgument: what the reader would refuse, such as
  // a name or a key used twice, a name of more than 64 bytes, five dimensions, a dtype that the format does not have.
  static Result<GgufWriter> create(ByteSink& sink, const GgufMetadata& metadata, const std::vector<TensorSpec>& specs);

  // The next tensor of the list; its name, dtype and shape must be those announced (kInvalidArgument).
  Status write(std::string_view name, const TensorView& tensor);
  // kInvalidArgument when announced tensors were not written.
  Status finish();

  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }

 private:
  GgufWriter(ByteSink& sink, std::vector<TensorSpec> specs) : sink_(&sink), specs_(std::move(specs)) {}

  ByteSink* sink_;
  std::vector<TensorSpec> specs_;
  uint64_t file_bytes_ = 0;
  size_t next_spec_ = 0;
};

}  // namespace sutra
