// What every architecture offers: an immutable model whose forward pass advances a State.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/config.h"
#include "model/linear.h"
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
  void forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
               std::span<float> logits) const;

  // The steps of forward(), under its conditions, for those who go layer by layer: through models that hold a part each
  // (WeightOptions::part), where stream() is copied from one's workspace to the next one's.
  //
  // The stream ← embeddings, with what follows them before the first layer.
  void embed(std::span<const int32_t> ids, Workspace& workspace, ThreadPool& pool) const;
  // The stream through the layers that the model holds, in order. Attention has its position from state.n_tokens, so that
  // stays for all layers of a chunk: forward() advances it after the last one, and so does who calls this.
  virtual void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const = 0;
  // What the head multiplies, behind the final norm: [C] of the last token for kLast, [T, C] for kAll; and the logits of
  // that. `wanted` is not kNone. The stream stays.
  void head_input(size_t n_tokens, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
                  std::span<float> out) const;
  void head(size_t n_tokens, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
            std::span<float> logits) const;
  // What goes from layer to layer for T tokens: the residual stream [T, C], and with RWKV-7 v_first [T, C], which layer 0
  // writes and all others read.
  [[nodiscard]] std::vector<std::span<float>> stream(Workspace& workspace, size_t n_tokens) const;

  // For chunks of at most so many tokens. kOutOfMemory.
  [[nodiscard]] Result<Workspace> create_workspace(size_t max_tokens) const;
  // Of the whole model, whatever part of it this one holds.
  [[nodiscard]] const StateLayout& state_layout() const { return layout_; }
  [[nodiscard]] uint64_t weight_bytes() const { return sizes_.weight_bytes; }

 protected:
  // What is done before and after the layers, beside what outer_names() tells.
  struct Ends {
    float eps;
    float embedding_multiplier = 1, logits_multiplier = 1;
  };
  // Takes what options.part wants of what is there.
  Status take_ends(const Ends& ends, WeightMap& tensors, const ModelConfig& config, const WeightOptions& options);
  // Floats of an array of the stream: C for each token.
  [[nodiscard]] size_t stream_floats(size_t n_tokens) const { return n_tokens * n_embd_; }

  StateLayout layout_;
  size_t first_layer_ = 0;  // of those held
  size_t n_streams_ = 1;    // arrays in the stream
  LinearSizes sizes_;       // of all linears held

 private:
  friend Result<std::unique_ptr<Model>> build_model(const ModelConfig&, WeightMap&, const WeightOptions&);

  // Adds the linears of the layers.
  virtual void measure(LinearSizes& sizes) const = 0;
  // What run_layers() needs for so many tokens; the stream comes first in it, as Arena hands it out.
  [[nodiscard]] virtual size_t layers_bytes(size_t n_tokens) const = 0;

  Ends ends_{};
  size_t n_embd_ = 0;
  Linear embeddings_;
  Tensor pre_norm_weight_, pre_norm_bias_;
  Tensor norm_weight_, norm_bias_;
  std::optional<Linear> head_;  // empty: tied to the embeddings
};

// Takes the architecture's tensors out of `tensors` (what is left there is unused). Errors: kNotFound,
// kShapeMismatch, kDtypeMismatch with the tensor's name, kUnsupported for an unknown architecture.
Result<std::unique_ptr<Model>> build_model(const ModelConfig& config, WeightMap& tensors, const WeightOptions& options);

}  // namespace sutra
