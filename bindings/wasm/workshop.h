// Work on models that does not run them for people: converting, quantising. Modules of their own, fetched when they are
// wanted, so that a page that runs a model does not pay for them. bindings/js/workshop.ts, converter.ts and quantizer.ts call it. One model a
// module: its weights are fed (shared.cpp) and what lies beside them, then one of convert.cpp and quantize.cpp begins.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "runtime/byte_sink.h"
#include "runtime/published_model.h"

namespace sutra::wasm {

// Hands what is written to JavaScript, which copies it at once: a large tensor is not here a second time. kOutOfMemory
class PageSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte> bytes) override;
};

// What is fed beside the weights.
Companions& companions();
// Those that stay in the files, where they do.
std::optional<LeftMatrices>& left_matrices();
// Where the file with the weights goes, and checkpoints.
PageSink& file_sink();

}  // namespace sutra::wasm
