// What the versions of RWKV have in common: norms, the token shift, the end of a time mix with a matrix for a state
// (versions 5 and 6), and the gated channel mix (versions 4 to 6).
#pragma once

#include <span>
#include <string>

#include "kernels/elementwise/elementwise.h"
#include "model/linear.h"
#include "model/workspace.h"

namespace sutra::rwkv {

struct NormWeights {
  Tensor weight, bias;  // [C]
};
Result<NormWeights> take_norm(WeightMap& tensors, std::string_view name, size_t n_embd);
// x and y [T, C]; y may be x.
void layer_norm(const NormWeights& norm, float eps, const float* x, size_t n_tokens, float* y, ThreadPool& pool);

// Token shift with `mixes` (whose y are [T, C]) for tokens first ≤ t < last of x [T, C]; x_prev [C] comes before x.
void token_shift(std::span<const kernels::TokenShiftMix> mixes, const float* x, const float* x_prev, size_t n_embd,
                 size_t first, size_t last);

// μ of lerp(x, x before, μ) [C]. Versions 4 and 5 store 1 − μ, the share of x itself.
Result<Tensor> take_mix(WeightMap& tensors, const std::string& name, size_t n_embd);
Result<Tensor> take_inverse_mix(WeightMap& tensors, const std::string& name, size_t n_embd);

// y ← y ⊙ σ(gate), both [T, C]; gate is overwritten.
void gate_by_sigmoid(float* gate, size_t n, float* y);

// The end of RWKV-5's and 6's time mix: x ← x + W_o (GroupNorm(wkv(r, w, k, v)) ⊙ silu(g)), per head of N channels.
class WkvOutput {
 public:
  struct Args {
    const float *r, *k, *v;  // [T, C]
    const float* g;          // [T, C]; null: no gate (RWKV-5.0)
    const float* w;          // the decay itself, row t at w + t · w_stride
    size_t w_stride;
    size_t n_tokens;
    float* wkv_state;   // [H, N key, N value] of this layer
    float *y, *x_norm;  // [T, C], overwritten
    float* x;           // [T, C], the residual stream
    std::byte* q;       // of output().input_bytes()
  };

  // `att` is the block's prefix, "blocks.0.att.", u [C] the bonus.
  static Result<WkvOutput> take(WeightMap& tensors, const std::string& att, size_t n_head, size_t head_size, float eps,
                                Tensor u, const ModelConfig& config, const WeightOptions& options);
  void forward(const Args& args, ThreadPool& pool) const;
  [[nodiscard]] const Linear& output() const { return output_; }

 private:
  size_t n_head_ = 0, head_size_ = 0;
  float eps_ = 0;
  Tensor u_;
  NormWeights ln_x_;
  Linear output_;
};

// The channel mix of RWKV-4, 5 and 6: x ← x + σ(W_r x_r) ⊙ W_v relu(W_k x_k)², x_□ = lerp(x′, s, μ_□), x′ = LayerNorm(x).
class GatedChannelMix {
 public:
  struct Buffers {
    float *x, *x_norm, *x_k, *x_r, *r;  // [T, C]; x is the residual stream
    float* k;                           // [T, dim_ffn]
    std::byte *q_k, *q_r;               // integers of the products' inputs
  };

  // `p` is the block's prefix, "blocks.0."; the mixes are stored as time_mix_□ (1 − μ) or, `inverse` false, time_maa_□.
  static Result<GatedChannelMix> take(WeightMap& tensors, const std::string& p, size_t n_embd, size_t dim_ffn,
                                      bool inverse, const ModelConfig& config, const WeightOptions& options);
  // x_prev [C]: this layer's ffn_x_prev, in and out.
  void forward(float* x_prev, float eps, size_t n_tokens, const Buffers& b, ThreadPool& pool) const;

  void measure(LinearSizes& sizes) const {
    for (const Linear* linear : {&receptance_, &key_, &value_}) sizes.add(*linear);
  }

 private:
  NormWeights ln2_;
  Tensor x_k_, x_r_;
  Linear receptance_, key_, value_;
};

}  // namespace sutra::rwkv
