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

  void forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
               std::span<float> logits) const override;
  [[nodiscard]] Result<Workspace> create_workspace(size_t max_tokens) const override;
  [[nodiscard]] const StateLayout& state_layout() const override { return layout_; }
  [[nodiscard]] uint64_t weight_bytes() const override;

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
  template <class Visit>
  void for_each_linear(const Visit& visit) const;

  MambaConfig config_;
  StateLayout layout_;
  Linear embeddings_;
  std::vector<Block> blocks_;
  Tensor norm_f_;
  std::optional<Linear> head_;  // empty: tied to the embeddings
};

}  // namespace sutra
