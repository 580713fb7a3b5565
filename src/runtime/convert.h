// Writes a model in another format. Not built for wasm.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"

namespace sutra {

struct ConvertOptions {
  enum class Format : uint8_t { kSafetensors, kGguf };
  Format format = Format::kSafetensors;
  Dtype dtype = Dtype::kF16;           // of the matrices: F32, F16, and in GGUF Q8_0, Q4_0
  std::string tokenizer_path;          // empty: the one beside the model, if there
  std::vector<std::string> overrides;  // key=value of the config; they are written
};

struct ConvertReport {
  std::string architecture;
  size_t n_tensors = 0;
  uint64_t n_bytes = 0;
  bool has_tokenizer = false;  // one was written
};

// Called after each tensor; false stops the work with kCancelled.
using ConvertProgress = std::function<bool(size_t n_done, size_t n_tensors)>;

// `model` as in find_model(). safetensors: `out` is a folder that gets model.safetensors, config.json and the tokenizer's
// files, under the names of published checkpoints (flash-linear-attention's for RWKV-7, BlinkDL's for RWKV-5 and 6, those
// of transformers for the others). GGUF: `out` is the file, with the tokenizer in it, for RWKV-7 and Mamba.
// Matrices in 4 bits become floats first. A matrix whose rows are no whole blocks is written in F16.
// kUnsupported: an architecture or tokenizer that the format has no place for. kNonFinite: a weight
// that is NaN, infinite, or beyond binary16 where that is asked for. After an error nothing of the model is in `out`.
Result<ConvertReport> convert_model(const std::string& model, const std::string& out, const ConvertOptions& options,
                                    const ConvertProgress& progress);

}  // namespace sutra
