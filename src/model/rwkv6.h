// RWKV-6 (Finch). Equations, names and shapes: models/rwkv6.md; the code follows it line by line.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "model/linear.h"
#include "model/model.h"
#include "model/rwkv_parts.h"

namespace sutra {

class Rwkv6 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options);

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  // The interpolations, in the order of the file's low-rank matrices.
  enum Mix : size_t { kW, kK, kV, kR, kG, kMixes };
  static constexpr const char* kMixNames[kMixes] = {"w", "k", "v", "r", "g"};

  struct LowRank {
    Linear down, up;
  };
  struct TimeMix {
    rwkv::NormWeights ln1;
    Tensor maa_x;
    std::array<Tensor, kMixes> maa;
    std::array<LowRank, kMixes> mix;
    Linear receptance, key, value, gate;
    Tensor decay;  // [C]
    LowRank w;
    rwkv::WkvOutput output;
  };
  struct Block {
    TimeMix att;
    rwkv::GatedChannelMix ffn;
  };
  struct Buffers;

  Result<TimeMix> take_time_mix(const std::string& p, WeightMap& tensors, const ModelConfig& config,
                                const WeightOptions& options) const;
  void interpolate(const TimeMix& att, const float* x_prev, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  void project(const TimeMix& att, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  void time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  Rwkv6Config config_;
  std::vector<Block> blocks_;
};

}  // namespace sutra
