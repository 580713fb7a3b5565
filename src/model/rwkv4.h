// RWKV-4. Equations, names and shapes: models/rwkv4.md; the code follows it line by line.
#pragma once

#include <memory>
#include <vector>

#include "model/linear.h"
#include "model/model.h"
#include "model/rwkv_parts.h"

namespace sutra {

class Rwkv4 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options);

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  struct TimeMix {
    rwkv::NormWeights ln1;
    Tensor x_k, x_v, x_r;
    Linear receptance, key, value, output;
    Tensor w, u;  // −exp(time_decay), time_first
  };
  struct Block {
    TimeMix att;
    rwkv::GatedChannelMix ffn;
  };
  struct Buffers;

  Result<TimeMix> take_time_mix(const std::string& p, WeightMap& tensors, const ModelConfig& config,
                                const WeightOptions& options) const;
  void time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  Rwkv4Config config_;
  std::vector<Block> blocks_;
};

}  // namespace sutra
