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

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  struct Block {
    Tensor norm;
    Mamba2Mixer mixer;
  };
  struct Buffers;

  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  Mamba2Config config_;
  std::vector<Block> blocks_;
};

}  // namespace sutra
