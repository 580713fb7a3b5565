// Element-wise arithmetic. T tokens, C channels, n elements; all arrays are dense.
//
// Preconditions: the output may be one of the inputs of the same shape (in place); no other overlap.
// Numerics: float32. The functions are polynomials (simd/math.h), the same operations on every machine, so all
// variants give the same bits, for any split of the elements. Largest errors found, against double, over every third
// float32 with 1e-8 < |x| < 200 and every ninth of the others: exp 0.98 ulp, sigmoid 2.4, tanh 1.5, softplus 3.2,
// silu 3.4, rwkv7_decay 1.4; rwkv6_decay within 1e-7; denormal results are within two units of the last place; silu below x = -87, where its
// result fades out, within 1e-43. Infinities give the limits, NaN gives NaN.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

// y[i] = f(x[i]) for 0 ≤ i < n.
void exp(const float* x, size_t n, float* y);
void sigmoid(const float* x, size_t n, float* y);  // 1 / (1 + e^−x)
void tanh(const float* x, size_t n, float* y);
void softplus(const float* x, size_t n, float* y);      // ln(1 + e^x): in float32, x itself from x = 17 on
void silu(const float* x, size_t n, float* y);          // x · sigmoid(x)
void relu_squared(const float* x, size_t n, float* y);  // max(x, 0)²

// y[i] = a[i] ∘ b[i] for 0 ≤ i < n.
void add(const float* a, const float* b, size_t n, float* y);
void mul(const float* a, const float* b, size_t n, float* y);
void mul_silu(const float* a, const float* z, size_t n, float* y);  // a · silu(z): Mamba's gate

void scale(const float* x, float factor, size_t n, float* y);                       // x · factor
void add_scaled(const float* a, const float* b, float factor, size_t n, float* y);  // a + b · factor

// y[t][c] = x[t][c] + bias[c].
void add_bias(const float* x, const float* bias, size_t n_tokens, size_t n_channels, float* y);

// RWKV's token shift with its interpolations, all from one pass over x:
//   y_m[t][c] = x[t][c] + (x[t−1][c] − x[t][c]) · mix_m[c]         x[−1] = x_prev
// The caller keeps x's last row as the next call's x_prev; y_m does not overlap x.
struct TokenShiftMix {
  const float* mix;  // [C]
  float* y;          // [T,C]
};
struct TokenShiftLerpArgs {
  const float* x;       // [T,C]
  const float* x_prev;  // [C]
  size_t n_tokens, n_channels;
  const TokenShiftMix* mixes;  // [n_mixes]
  size_t n_mixes;
};
void token_shift_lerp(const TokenShiftLerpArgs& args);

// The same with interpolations that depend on the token (RWKV-6; Peng et al. 2024, "Eagle and Finch", section 4.2):
//   y_m[t][c] = x[t][c] + (x[t−1][c] − x[t][c]) · (mix_m[c] + offset_m[t][c])
// y_m may be offset_m.
struct TokenShiftDdlerpMix {
  const float* mix;     // [C]
  const float* offset;  // [T,C]
  float* y;             // [T,C]
};
struct TokenShiftDdlerpArgs {
  const float* x;       // [T,C]
  const float* x_prev;  // [C]
  size_t n_tokens, n_channels;
  const TokenShiftDdlerpMix* mixes;  // [n_mixes]
  size_t n_mixes;
};
void token_shift_ddlerp(const TokenShiftDdlerpArgs& args);

// RWKV-5's and RWKV-6's decay: w = exp(−exp(w_raw)).
void rwkv6_decay(const float* w_raw, size_t n, float* w);

// RWKV-7 (Peng et al. 2025, "RWKV-7 Goose", section 4), in the order of a time_mix block.
// Decay: w = exp(−e^{−1/2} · sigmoid(w_raw)), with w_raw = w0 + tanh(x_w w1) w2.
void rwkv7_decay(const float* w_raw, size_t n, float* w);
// Replacement key: y = k · (1 + (a − 1) · k_a), k and a [T,C], k_a [C].
void rwkv7_replacement_key(const float* k, const float* a, const float* k_a, size_t n_tokens, size_t n_channels,
                           float* y);
// Value residual: y = v + (v_first − v) · sigmoid(v_raw), with v_raw = v0 + (x_v v1) v2.
void rwkv7_value_residual(const float* v, const float* v_first, const float* v_raw, size_t n, float* y);
// Bonus: y[t][h·N + i] += (Σ_j r·k·r_k over the head) · v[t][h·N + i]; the sum in gemm_f.h's order.
struct Rwkv7BonusArgs {
  const float* r;    // [T, H·N]
  const float* k;    // [T, H·N], the replacement key
  const float* v;    // [T, H·N], after the value residual
  const float* r_k;  // [H, N]
  size_t n_tokens, n_heads, head_size;
  float* y;  // [T, H·N], in and out
};
void rwkv7_add_bonus(const Rwkv7BonusArgs& args);

struct ElementwiseKernels {
  using Unary = void (*)(const float*, size_t, float*);
  using Binary = void (*)(const float*, const float*, size_t, float*);
  Unary exp, sigmoid, tanh, softplus, silu, relu_squared;
  Binary add, mul, mul_silu;
  void (*scale)(const float*, float, size_t, float*);
  void (*add_scaled)(const float*, const float*, float, size_t, float*);
  void (*add_bias)(const float*, const float*, size_t, size_t, float*);
  void (*token_shift_lerp)(const TokenShiftLerpArgs&);
  void (*token_shift_ddlerp)(const TokenShiftDdlerpArgs&);
  Unary rwkv6_decay, rwkv7_decay;
  void (*rwkv7_replacement_key)(const float*, const float*, const float*, size_t, size_t, float*);
  void (*rwkv7_value_residual)(const float*, const float*, const float*, size_t, float*);
  void (*rwkv7_add_bonus)(const Rwkv7BonusArgs&);
};
std::span<const Variant<const ElementwiseKernels*>> elementwise_variants();

}  // namespace sutra::kernels
