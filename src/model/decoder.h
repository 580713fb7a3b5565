// Decoders whose layers are mixers, attention or Mamba-2 or both side by side, and a gated MLP, each behind its norm: Llama,
// and the hybrids Bamba, Granite 4 and Falcon-H1. Equations, names and shapes: models/llama.md and models/hybrid.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/attention.h"
#include "model/gated_mlp.h"
#include "model/linear.h"
#include "model/mamba2_mixer.h"
#include "model/model.h"

namespace sutra {

// What a family calls its tensors, beside model.embed_tokens, model.layers.{l}.input_layernorm and lm_head.
struct DecoderNames {
  std::string_view norm, mlp_norm, mlp;  // mlp with its dot
  GatedMlp::Names matrices;
};
DecoderNames decoder_names(const DecoderConfig& config);

class Decoder final : public Model {
 public:
  static Result<std::unique_ptr<Model>> create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options);

  void run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const override;

 private:
  struct Block {
    Tensor mixer_norm;
    std::optional<Attention> attention;
    std::optional<Mamba2Mixer> mamba;
    size_t cache_field = 0, mamba_field = 0;  // the first of each mixer's two in the layout
    Tensor mlp_norm;
    GatedMlp mlp;
  };
  struct Buffers;

  void add_state(size_t layer, Block& block);
  Status take_block(size_t layer, WeightMap& tensors, const ModelConfig& config, const WeightOptions& options,
                    Block& block) const;
  static Status divide_frequencies(WeightMap& tensors, std::vector<double>& frequencies);
  void mix(const Block& block, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;
  Buffers carve(Arena& arena, size_t n_tokens) const;
  void measure(LinearSizes& sizes) const override;
  [[nodiscard]] size_t layers_bytes(size_t n_tokens) const override;

  DecoderConfig config_;
  std::vector<double> frequencies_;  // of the rotary positions
  std::vector<Block> blocks_;
};

}  // namespace sutra
