// The gated MLP of decoders (SwiGLU): everything between the residual stream and itself but the norm before it.
//
//   MLP(x) = W_down (silu(m_g · W_gate x) ⊙ W_up x)              (+ biases)
//
// Source: Shazeer 2020, "GLU Variants Improve Transformer".
#pragma once

#include <string>
#include <string_view>

#include "model/linear.h"
#include "model/model.h"

namespace sutra {

class GatedMlp {
 public:
  // How a checkpoint calls its matrices [F, C], [F, C] and [C, F]. Without `up`, the rows of up follow those of gate.
  struct Names {
    std::string_view gate, up, down;
  };
  // Every intermediate of a chunk of T tokens.
  struct Buffers {
    float* gate_up;            // [T, 2F]
    float* hidden;             // [T, F]
    std::byte *q_gate, *q_up;  // integers of x, for each matrix; q_gate then of hidden
  };

  // Tensors by `prefix` and the names.
  static Result<GatedMlp> take(WeightMap& tensors, const std::string& prefix, const Names& names,
                               const DecoderConfig& decoder, const ModelConfig& config, const WeightOptions& options);
  static Buffers carve(Arena& arena, size_t dim_ffn, size_t n_tokens, size_t input_bytes);

  // Quantises tokens first ≤ t < last of x [T, d_model], the layer's input.
  void prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const;
  // residual [T, d_model] += MLP(x) · scale; x is prepared. `scratch` [T, d_model] may be x.
  void mix(const float* x, size_t n_tokens, const Buffers& b, float scale, float* scratch, float* residual,
           ThreadPool& pool) const;

  void measure(LinearSizes& sizes) const {
    sizes.add(gate_);
    if (up_) sizes.add(*up_);
    sizes.add(down_);
  }

 private:
  [[nodiscard]] LinearInput up_input(const float* x, size_t n_tokens, const Buffers& b) const;
  void project(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const;

  size_t d_model_ = 0, dim_ffn_ = 0;
  float gate_multiplier_ = 1;
  Linear gate_;  // with the rows of up, where up_ is empty
  std::optional<Linear> up_;
  Linear down_;
  Tensor gate_bias_, up_bias_, down_bias_;  // with use_bias
};

}  // namespace sutra
