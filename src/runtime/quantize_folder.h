// Quantises a model in the file system into a folder. Nothing is visible until the whole is written. Not built for wasm.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/quantizer.h"

namespace sutra {

struct QuantizeFolderOptions {
  QuantizeOptions quantize;
  CalibrationOptions calibration;
  std::string calibration_path;  // a text file; for AWQ
  std::string tokenizer_path;    // empty: the one beside the model
  std::vector<std::string> overrides;
  size_t n_threads = 1;
};

// Called after each piece of the work; false stops it with kCancelled.
using QuantizeProgress = std::function<bool(const Quantizer&)>;

// Writes model.safetensors, config.json with quantization_config, and the tokenizer files to `out`, in the Hugging Face
// AWQ "gemm" layout. Errors: those of Quantizer, calibration_sequences() and of reading the model; kInvalidArgument: AWQ
// without a calibration text; kNotFound: without a tokenizer. After an error or a stop nothing of the model is in `out`.
Result<QuantizeReport> quantize_folder(const std::string& model, const std::string& out,
                                       const QuantizeFolderOptions& options, const QuantizeProgress& progress);

}  // namespace sutra
