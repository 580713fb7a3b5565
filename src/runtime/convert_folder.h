// Converting in the file system, for the native program and the tests. Not built for wasm.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/converter.h"

namespace sutra {

struct ConvertFolderOptions {
  ConvertOptions convert;
  std::string tokenizer_path;          // empty: the one beside the model, if there
  std::vector<std::string> overrides;  // key=value of the config; they are written
};

// Called after each tensor; false stops the work with kCancelled.
using ConvertProgress = std::function<bool(size_t n_done, size_t n_tensors)>;

// Writes the model that `model` names (find_model()) in another format. safetensors: `out` is a folder that gets
// model.safetensors, config.json and the tokenizer's files. GGUF: `out` is the file. Errors: those of Converter and of the
// loader, kIo. After an error nothing of the model is in `out`.
Result<ConvertReport> convert_folder(const std::string& model, const std::string& out,
                                     const ConvertFolderOptions& options, const ConvertProgress& progress);

}  // namespace sutra
