// Writes a randomly initialised model: for measuring any shape, and as the start of training. Not built for wasm.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace sutra {

struct InitReport {
  uint64_t n_parameters = 0;
  uint64_t bytes = 0;  // of model.safetensors
};

// Called after each tensor; false stops the work with kCancelled.
using InitProgress = std::function<bool(size_t n_done, size_t n_tensors)>;

// Reads the config.json at `config_path` and writes it and model.safetensors (matrices F16, the rest F32) to `out`.
// The same seed gives the same bytes. kInvalidArgument for a config with quantization_config; errors of
// read_model_config, kIo. After an error or a stop no model is in `out`.
Result<InitReport> init_folder(const std::string& config_path, uint64_t seed, const std::string& out,
                               const InitProgress& progress);

}  // namespace sutra
