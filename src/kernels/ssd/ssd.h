// The state space recurrence of Mamba-2 (state space duality, SSD) over T tokens, per head h with P values, n states
// and the group g = h / (H / G) of B and C:
//
//   S_t[s] = exp(dt_t[h] · A[h]) · S_{t−1}[s] + (dt_t[h] · x_t[h]) · B_t[g][s]       S[s], x, y: P values
//   y_t[h] = Σ_s C_t[g][s] · S_t[s] + D[h] · x_t[h]
//
// Shapes: x, B and C are columns of the convolution's output, row t at pointer + t·stride: x [H·P], B and C [G·n]. dt
// [T,H] dense, after softplus and its limits; A [H] = −exp(A_log), D [H]; y [T, H·P] dense. state [H][n][P], the
// transpose of the checkpoints' [H, P, n], in and out.
// Preconditions: H is a multiple of G; first_head ≤ last_head ≤ H; y and state overlap nothing else. Only the heads of
// the range are touched.
// Numerics: float32; Σ_s ascends from s = 0, D·x is added last; (dt·x) is rounded before it meets B. exp is that of
// elementwise.h. Values are independent of each other, so lanes hold values and no sum crosses lanes: all variants, any
// head range and any split of the tokens give the same bits.
// Source: Dao and Gu 2024, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State
// Space Duality", section 7 (the recurrent form; A is one number for each head).
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

struct SsdArgs {
  const float* x;
  const float* B;
  const float* C;
  size_t stride;
  const float* dt;
  const float* A;
  const float* D;
  size_t n_tokens, n_heads, head_dim, n_state, n_groups;
  size_t first_head, last_head;
  float* state;
  float* y;
};

// Head ranges are how threads share the work.
void ssd(const SsdArgs& args);

using SsdKernel = void (*)(const SsdArgs&);
std::span<const Variant<SsdKernel>> ssd_variants();

}  // namespace sutra::kernels
