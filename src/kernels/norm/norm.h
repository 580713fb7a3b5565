// Normalisations over channels. T tokens, C channels, H heads of N channels (C = H·N).
//
//   layer_norm    y = (x − mean) / √(var + eps) · weight + bias       mean and biased variance over C
//   rms_norm      y = x / √(mean(x²) + eps) · weight                  over C
//   group_norm    layer_norm over each head's N channels, with weight and bias [C]
//   l2_normalize  y = u / max(‖u‖₂, 1e-12), u = x ⊙ weight            over each head's N channels
//
// Shapes: x and y [T,C] dense, weight and bias [C]. y may be x itself; other overlaps are not allowed.
// Preconditions: C > 0, eps ≥ 0.
// Numerics: float32; the variance is taken around the mean in a second pass; sums in the order of gemm_f.h (sixteen
// partial sums, then a tree); the reciprocal 1/√(…) is rounded once and multiplied. A row whose squares overflow
// (|x| > 1.8e19/√C) normalises to zero or NaN. All variants and any T give the same bits.
// Sources: Ba et al. 2016; Zhang and Sennrich 2019; Wu and He 2018; RWKV-7 (Peng et al. 2025, section 4: ln_x, κ̂).
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

struct LayerNormArgs {
  const float* x;
  size_t n_tokens, n_channels;
  const float* weight;
  const float* bias;
  float eps;
  float* y;
};

struct RmsNormArgs {
  const float* x;
  size_t n_tokens, n_channels;
  const float* weight;  // nullptr: no weight
  float eps;
  float* y;
};

struct GroupNormArgs {
  const float* x;
  size_t n_tokens, n_heads, head_size;
  const float* weight;
  const float* bias;
  float eps;
  float* y;
};

struct L2NormalizeArgs {
  const float* x;
  size_t n_tokens, n_heads, head_size;
  const float* weight;  // applied before normalising (RWKV-7: k_k); nullptr: none
  float* y;
};

void layer_norm(const LayerNormArgs& args);
void rms_norm(const RmsNormArgs& args);
void group_norm(const GroupNormArgs& args);
void l2_normalize(const L2NormalizeArgs& args);

struct NormKernels {
  void (*layer_norm)(const LayerNormArgs&);
  void (*rms_norm)(const RmsNormArgs&);
  void (*group_norm)(const GroupNormArgs&);
  void (*l2_normalize)(const L2NormalizeArgs&);
};
std::span<const Variant<const NormKernels*>> norm_variants();

}  // namespace sutra::kernels
