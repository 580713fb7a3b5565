// Logits and states as a file: how other implementations compare themselves with this one. Not built for wasm.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "runtime/engine.h"

namespace sutra {

// Runs `ids` from the zero state and writes a safetensors file: `logits` [T, V] of every position and `state.*` after the
// last, in their published layouts. kInvalidArgument for an id outside the vocabulary, kIo. Nothing is left at `path`
// after an error.
Status write_logits_file(const Engine& engine, std::span<const int32_t> ids, const std::string& path);

}  // namespace sutra
