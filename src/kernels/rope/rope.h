// Rotary position embeddings: the pair of channels (i, i + R/2) of a head turns by an angle that grows with the token's
// position. R is the head's rotated width, the first R of its N channels; the others stay.
//
//   y[i]       = x[i] · cos[i] − x[i + R/2] · sin[i]
//   y[i + R/2] = x[i + R/2] · cos[i] + x[i] · sin[i]                 0 ≤ i < R/2
//
// Shapes: x row t at x + t·stride, H heads of N channels, in place; cos and sin [T, R/2], from rope_table.
// Preconditions: R is even, R ≤ N.
// Numerics: float32, each product rounded before the sum; channels are independent, so all variants give the same bits.
// Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", in the layout of transformers
// (halves, not neighbours, make the pairs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

struct RopeArgs {
  float* x;
  size_t stride;
  size_t n_tokens, n_heads, head_dim, rotary_dim;
  const float* cos;
  const float* sin;
};

void rope(const RopeArgs& args);

using RopeKernel = void (*)(const RopeArgs&);
std::span<const Variant<RopeKernel>> rope_variants();

// frequencies[i] = theta^(−2i/R) for i < R/2 = their number. theta ≥ 1.
void rope_frequencies(double theta, std::span<double> frequencies);

// cos and sin [T, F] of position · frequency for T positions from `first_position` on and F frequencies of at most 1;
// positions are below 2^24. In double by polynomials that no platform changes, then rounded once: 0.51 ulp.
void rope_table(std::span<const double> frequencies, uint64_t first_position, size_t n_tokens, float* cos, float* sin);

}  // namespace sutra::kernels
