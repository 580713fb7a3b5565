// RWKV-7. Equations, names and shapes: models/rwkv.md; the code follows it line by line.
#pragma once

#include <memory>
#include <vector>

#include "model/linear.h"
#include "model/model.h"
#include "model/rwkv_parts.h"

namespace sutra {

class Rwkv7 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options);

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  // bias + up f(down x)
  struct LowRank {
    Linear down, up;
    Tensor bias;  // none for the gate
  };
  struct TimeMix {
    rwkv::NormWeights ln1;
    Tensor x_r, x_w, x_k, x_v, x_a, x_g;
    Linear receptance, key, value, output;
    LowRank w, a, v, g;
    Tensor k_k, k_a, r_k;
    rwkv::NormWeights ln_x;
  };
  struct ChannelMix {
    rwkv::NormWeights ln2;
    Tensor x_k;
    Linear key, value;
  };
  struct Block {
    TimeMix att;
    ChannelMix ffn;
  };
  struct Buffers;

  Result<TimeMix> take_time_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                const WeightOptions& options) const;
  Result<ChannelMix> take_channel_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                      const WeightOptions& options) const;
  void project(size_t layer, const float* x_prev, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  void mix_heads(size_t layer, size_t n_tokens, size_t first_head, size_t last_head, const Buffers& b,
                 float* wkv_state) const;
  void time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  void channel_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  Rwkv7Config config_;
  std::vector<Block> blocks_;
};

}  // namespace sutra
