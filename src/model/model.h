// What every architecture offers: an immutable model whose forward pass advances a State.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/config.h"
#include "model/state.h"
#include "model/workspace.h"
#include "quant/weight_map.h"

namespace sutra {

enum class LogitsWanted : uint8_t { kNone, kLast, kAll };

class Model {
 public:
  virtual ~Model() = default;

  // Advances `state` by T = ids.size() tokens (T = 1 decode, T > 1 prefill: the same function, the same
  // bits) and writes logits: [V] of the last token for kLast, [T, V] for kAll. Every id is inside the
  // vocabulary, T <= the workspace's max_tokens, and the state has room (State::reserve). Allocates nothing.
  virtual void forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace,
                       ThreadPool& pool, std::span<float> logits) const = 0;

  // Floats that forward() needs in a workspace for T tokens.
  [[nodiscard]] virtual Result<Workspace> create_workspace(size_t max_tokens) const = 0;
  [[nodiscard]] virtual const StateLayout& state_layout() const = 0;
  [[nodiscard]] virtual uint64_t weight_bytes() const = 0;
};

// How linears treat their weights and inputs.
struct WeightOptions {
  bool exact = false;             // 4-bit weights are widened to f32, activations stay f32
  bool int8_activations = false;  // A8 instead of A15
};

// Takes the architecture's tensors out of `tensors` (what is left there is unused). Errors: kNotFound,
// kShapeMismatch, kDtypeMismatch with the tensor's name, kUnsupported for an unknown architecture.
Result<std::unique_ptr<Model>> build_model(const ModelConfig& config, WeightMap& tensors, const WeightOptions& options);

}  // namespace sutra
