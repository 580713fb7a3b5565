// The mixer of Mamba-2: everything between the residual stream and itself but the norm before it. Equations, names and
// shapes: models/mamba2.md; the code follows it line by line. Mamba-2 and the hybrid models are made of it.
#pragma once

#include <string>

#include "model/linear.h"
#include "model/model.h"

namespace sutra {

class Mamba2Mixer {
 public:
  // Every intermediate of a chunk of T tokens.
  struct Buffers {
    float* z_xBC_dt;  // [T, in_proj_dim]
    float* xBC;       // [T, conv_dim] after the convolution
    float* dt;        // [T, n_heads]
    float* y;         // [T, d_inner]
    std::byte* q;     // integers of whatever is multiplied next
  };

  // Tensors by names that begin with `prefix`.
  static Result<Mamba2Mixer> take(WeightMap& tensors, const std::string& prefix, const Mamba2MixerConfig& mixer,
                                  const ModelConfig& config, const WeightOptions& options);
  static Buffers carve(Arena& arena, const Mamba2MixerConfig& mixer, size_t n_tokens, size_t input_bytes);

  // Quantises tokens first ≤ t < last of x [T, d_model], the mixer's input.
  void prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const;
  // residual [T, d_model] += mixer(x) · scale; x is prepared. `scratch` [T, d_model] may be x.
  void mix(const float* x, size_t n_tokens, float* conv_state, float* ssm_state, const Buffers& b, float scale,
           float* scratch, float* residual, ThreadPool& pool) const;

  void measure(LinearSizes& sizes) const {
    sizes.add(in_proj_);
    sizes.add(out_proj_);
  }

 private:
  void project(const LinearInput& x, size_t first, size_t last, const Buffers& b, float* conv_state) const;
  void apply_multipliers(size_t first, size_t last, float* row) const;
  void gate_and_normalize(size_t first_token, size_t last_token, const Buffers& b) const;

  Mamba2MixerConfig c_;
  Linear in_proj_, out_proj_;
  Tensor in_proj_bias_, out_proj_bias_;  // with use_bias
  Tensor conv1d_;                        // [d_conv, conv_dim], transposed from the file
  Tensor conv1d_bias_;                   // with use_conv_bias
  Tensor dt_bias_, A_, D_;               // [n_heads]; A = -exp(A_log)
  Tensor norm_;                          // [d_inner], with norm_size
};

}  // namespace sutra
