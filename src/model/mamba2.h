// Mamba-2. Equations, names and shapes: models/mamba2.md; the code follows it line by line.
#pragma once

#include <memory>
#include <vector>

#include "model/linear.h"
#include "model/mamba2_mixer.h"
#include "model/model.h"

namespace sutra {

class Mamba2 final : public Model {
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
    Mamba2Mixer mixer;
  };
  struct Buffers;

  Buffers carve(Arena& arena, size_t n_tokens) const;
  template <class Visit>
  void for_each_linear(const Visit& visit) const;

  Mamba2Config config_;
  StateLayout layout_;
  Linear embeddings_;
  std::vector<Block> blocks_;
  Tensor norm_f_;
  std::optional<Linear> head_;  // empty: tied to the embeddings
};

}  // namespace sutra
