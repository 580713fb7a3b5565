// What rounding a row of weights to a few levels does to them, and to a product with them: the inner loops of the
// searches in quant/.
//
//   step = max(high − low, 1e-5) / levels,  zero = clamp(−round(low / step), 0, levels)
//   Q(w) = (clamp(round(w · (1 / step)) + zero, 0, levels) − zero) · step            round: half to even
//
// for each group of weights along the row, which has a range low ≤ 0 ≤ high of its own; weights outside of it get its
// ends. Where the columns are scaled by s, Q(w · s) / s stands for w.
// Numerics: float32; sums in the order of gemm_f.h. All variants give the same bits. |w| · levels < 4e6 · step.
// Source: Lin et al. 2023, arXiv:2306.00978, section 2 (the quantizer).
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

// A row of K weights. factor [K] is s, inverse [K] is 1/s; both null where nothing is scaled.
struct RoundingRow {
  const float* w;
  size_t n_cols;      // K
  size_t group_size;  // the last group may be shorter
  const float* factor;
  const float* inverse;
};

// low and high [G] = the least and the largest w · s of each group, and 0.
void group_ranges(const RoundingRow& row, float* low, float* high);

// error [K] = Q(w · s) / s − w
void rounding_error(const RoundingRow& row, const float* low, const float* high, float levels, float* error);

// Σ variance · error² + (Σ mean · error)² over K columns: the mean squared error of an output whose inputs are
// uncorrelated.
float weighted_error(const float* error, const float* variance, const float* mean, size_t n_cols);

// products [n, n] += Σ_t x[t][i] · x[t][j] for i ≤ j, where row t of x begins at x + t · stride. Entries below the diagonal
// may be written, with anything.
void add_products(const float* x, size_t n_tokens, size_t stride, size_t n, float* products);

struct RoundingKernels {
  void (*group_ranges)(const RoundingRow& row, float* low, float* high);
  void (*rounding_error)(const RoundingRow& row, const float* low, const float* high, float levels, float* error);
  float (*weighted_error)(const float* error, const float* variance, const float* mean, size_t n_cols);
  void (*add_products)(const float* x, size_t n_tokens, size_t stride, size_t n, float* products);
};
std::span<const Variant<const RoundingKernels*>> rounding_variants();

}  // namespace sutra::kernels
