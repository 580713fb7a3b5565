// Quantises a model folder into another. Held in memory: one float tensor, and what of the result waits for its place
// in the file (items of two bytes come after those of four). Nothing is visible until the whole is written.
// Not built for wasm.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace sutra {

struct QuantizeOptions {
  size_t group_size = 128;
};

struct QuantizedTensor {
  std::string name;
  uint64_t bytes_before = 0, bytes_after = 0;
  int bits = 0;  // 4, or the bits of the dtype it kept
  // rms of (quantised - source) over rms of source: the error of the output for inputs of equal variance.
  double relative_error = 0;
  std::string kept_because;  // empty for quantised tensors
};

struct QuantizeReport {
  std::vector<QuantizedTensor> tensors;
  uint64_t bytes_before = 0, bytes_after = 0;
  // Float32 bytes of the quantised matrices over their packed bytes.
  double compression = 0;
};

// Called after each tensor; false stops the work with kCancelled.
using QuantizeProgress = std::function<bool(size_t n_done, size_t n_tensors, const QuantizedTensor& last)>;

// Writes model.safetensors, config.json with quantization_config, and the tokenizer files to `out`, in the Hugging Face
// AWQ "gemm" layout. kInvalidArgument: already quantised, or a group size other than 32, 64, 128. kNonFinite: NaN or
// infinity in a weight. After an error or a stop nothing of the model is in `out`.
Result<QuantizeReport> quantize_folder(const std::string& model, const std::string& out, const QuantizeOptions& options,
                                       const QuantizeProgress& progress);

}  // namespace sutra
