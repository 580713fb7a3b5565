// Mamba-1. Equations, names and shapes: models/mamba.md; the code follows it line by line.
#pragma once

#include <memory>
#include <vector>

#include "model/linear.h"
#include "model/model.h"

namespace sutra {

class Mamba final : public Model {
 public:
  static Result<std::unique_ptr<Model>> create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options);

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  struct Block {
    Tensor norm;
    Linear in_proj, x_proj, dt_proj, out_proj;
    Tensor in_proj_bias, out_proj_bias;  // with use_bias
    Tensor conv1d;                       // [d_conv, d_inner], transposed from the file
    Tensor conv1d_bias;                  // with use_conv_bias
    Tensor dt_bias;
    Tensor A;  // [d_state, d_inner] = -exp(A_log), transposed from the file
    Tensor D;
    Tensor out_scale;  // [d_inner] of out_proj's input, in 4-bit models that have it (models/awq.md)
  };
  struct Buffers;

  Result<Block> take_block(size_t layer, WeightMap& tensors, const ModelConfig& config,
                           const WeightOptions& options) const;
  void project(const Block& block, const LinearInput& h, size_t first, size_t last, const Buffers& b,
               float* conv_state) const;
  void scan(const Block& block, const LinearInput& dt_low, size_t first, size_t last, const Buffers& b,
            float* ssm_state) const;
  void normalize_dt_B_C(float* dt_B_C) const;
  void mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  MambaConfig config_;
  std::vector<Block> blocks_;
};

}  // namespace sutra
