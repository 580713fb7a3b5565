// The WKV-7 recurrence of RWKV-7 over T tokens, per head:
//
//   S_t = S_{t−1} diag(w_t) − (S_{t−1} kk_t)(kk_t ⊙ a_t)ᵀ + v_t k_tᵀ
//   y_t = S_t r_t
//
// Shapes: r, w, k, v, kk, a, y [T, H·N]; head h owns columns h·N … h·N + N − 1. w is the decay itself, in (0, 1); kk is
// normalised per head; k is the replacement key. state [H][N key][N value], the transpose of the paper's S (value rows,
// key columns), in and out.
// Preconditions: first_head ≤ last_head ≤ H; y and state overlap nothing else. Only the heads of the range are touched.
// Numerics: float32, for value i and ascending key j:
//   sa = Σ_j S[j][i]·kk[j];   S[j][i] = (S[j][i]·w[j] − sa·(kk[j]·a[j])) + v[i]·k[j];   y[i] = Σ_j S[j][i]·r[j]
// Values are independent of each other, so lanes hold values and no sum crosses lanes: all variants, any head range and
// any split of the tokens give the same bits.
// Source: Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State Evolution", section 4.
#pragma once

#include <cstddef>

namespace sutra::kernels {

struct Wkv7Args {
  const float* r;
  const float* w;
  const float* k;
  const float* v;
  const float* kk;
  const float* a;
  size_t n_tokens, n_heads, head_size;
  size_t first_head, last_head;
  float* state;
  float* y;
};

// Head ranges are how threads share the work.
void wkv7(const Wkv7Args& args);

}  // namespace sutra::kernels
