// The WKV recurrence of RWKV-5 and RWKV-6 over T tokens, per head:
//
//   y_t = (S_{t−1} + (u ⊙ k_t) v_tᵀ)ᵀ r_t
//   S_t = diag(w_t) S_{t−1} + k_t v_tᵀ
//
// Shapes: r, k, v, y [T, H·N]; head h owns columns h·N … h·N + N − 1. w is the decay itself, in (0, 1): row t at
// w + t · w_stride, so that 0 stands for RWKV-5's, which is the same for every token, and H·N for RWKV-6's. u [H·N].
// state [H][N key][N value], in and out.
// Preconditions: first_head ≤ last_head ≤ H; y and state overlap nothing else. Only the heads of the range are touched.
// Numerics: float32, for value i and ascending key j:
//   y[i] = Σ_j S[j][i]·r[j] + (Σ_j (r[j]·u[j])·k[j]) · v[i];   S[j][i] = S[j][i]·w[j] + v[i]·k[j]
// The sum of the bonus is in gemm_f.h's order; otherwise lanes hold values, so all variants, any head range and any split
// of the tokens give the same bits.
// Source: Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence", section 4.
#pragma once

#include <cstddef>

namespace sutra::kernels {

struct Wkv6Args {
  const float* r;
  const float* w;
  size_t w_stride;
  const float* u;
  const float* k;
  const float* v;
  size_t n_tokens, n_heads, head_size;
  size_t first_head, last_head;
  float* state;
  float* y;
};

// Head ranges are how threads share the work.
void wkv6(const Wkv6Args& args);

}  // namespace sutra::kernels
