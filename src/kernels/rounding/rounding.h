// What rounding a row of weights to a few levels does to them, and to a product with them: the inner loops of the
// searches and of GPTQ in quant/.
//
//   step = max(high − low, 1e-5) / levels,  zero = clamp(−round(low / step), 0, levels)
//   Q(w) = (clamp(round(w · (1 / step)) + zero, 0, levels) − zero) · step            round: half to even
//
// for each group of weights along the row, which has a range low ≤ 0 ≤ high of its own; weights outside of it get its
// ends. Where the columns are scaled by s, Q(w · s) / s stands for w.
// Numerics: float32; sums in the order of gemm_f.h. All variants give the same bits. |w| · levels < 4e6 · step.
// Source: Lin et al. 2023, arXiv:2306.00978, section 2 (the quantizer); Frantar et al. 2022,
// arXiv:2210.17323, section 3 (compensated rounding).
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

// Of an input's channels [K].
struct Moments {
  const float* variance;
  const float* mean;
};

// Σ variance · error² + (Σ mean · error)² over the K columns: the mean squared error of an output whose inputs are
// uncorrelated. group_size is a multiple of 16.
float moment_error(const RoundingRow& row, const float* low, const float* high, float levels, const Moments& moments);

// The same of a row of one group, nothing scaled, for n_ranges ranges: low, high, errors [n_ranges].
void range_errors(const RoundingRow& row, const float* low, const float* high, size_t n_ranges, float levels,
                  const Moments& moments, float* errors);

// squares [E] = Σᵢⱼ eᵢ Hᵢⱼ eⱼ for E errors [E, n], n a multiple of 16. The symmetric H [n, n] is given in tiles of 16 columns,
// each from its first row down to the diagonal's end: products[j·(j + 16)/2 + 16·i + k] for column j + k, where j is a
// multiple of 16, and row i < j + 16. What is above the diagonal is doubled, what is below it is 0.
// Columns are summed over their rows in order, then as ever.
void quadratic_errors(const float* errors, size_t n_errors, size_t n, const float* products, float* squares);

// Over tokens, of each of n channels: Σ x, Σ |x| and Σ x², in the order of the tokens. Row t of x begins at x + t · stride.
struct ChannelSums {
  float* sum;
  float* magnitude;
  float* square;
};
void channel_sums(const float* x, size_t n_tokens, size_t stride, size_t n, const ChannelSums& out);

// products [n, n] += Σ_t x[t][i] · x[t][j] for i ≤ j, where row t of x begins at x + t · stride. Entries below the diagonal
// may be written, with anything.
void add_products(const float* x, size_t n_tokens, size_t stride, size_t n, float* products);

// Rows that compensated_rounding() takes at a time, side by side: enough that none of their divisions waits for another.
inline constexpr size_t kCompensatedRows = 32;

// n columns of kCompensatedRows rows.
struct CompensatedColumns {
  size_t n;
  size_t group_size;     // a multiple of 16
  const float* factors;  // [n, n], read where i < j
  const float* scales;   // [G, kCompensatedRows], of G groups of columns
  const float* zeros;    // the same
  float lowest, levels;
};

// weights [n, kCompensatedRows] are rounded, column by column in order, and what that changes is taken off those after it:
//
//   q = clamp(round(wᵢ / scale), lowest − zero, levels − zero),  eᵢ = wᵢ − q · scale,  wⱼ ← wⱼ − eᵢ · factorᵢⱼ for j > i
//
// rounded [n, kCompensatedRows] = q + zero. The errors e take the place of the weights.
void compensated_rounding(const CompensatedColumns& columns, float* weights, float* rounded);

// h [n, n], symmetric and positive definite, n a multiple of 16, is given by its upper triangle, which becomes U of
// h = UᵀU; inverse [n, n], zeros before, becomes U⁻ᵀ, in its lower triangle. What is below the diagonal of h may be anything
// finite, and is after. Double precision; each element is made of its terms in order.
void inverse_factor(double* h, double* inverse, size_t n);

struct RoundingKernels {
  void (*group_ranges)(const RoundingRow& row, float* low, float* high);
  void (*rounding_error)(const RoundingRow& row, const float* low, const float* high, float levels, float* error);
  float (*moment_error)(const RoundingRow& row, const float* low, const float* high, float levels,
                        const Moments& moments);
  void (*range_errors)(const RoundingRow& row, const float* low, const float* high, size_t n_ranges, float levels,
                       const Moments& moments, float* errors);
  void (*quadratic_errors)(const float* errors, size_t n_errors, size_t n, const float* products, float* squares);
  void (*channel_sums)(const float* x, size_t n_tokens, size_t stride, size_t n, const ChannelSums& out);
  void (*add_products)(const float* x, size_t n_tokens, size_t stride, size_t n, float* products);
  void (*compensated_rounding)(const CompensatedColumns& columns, float* weights, float* rounded);
  void (*inverse_factor)(double* h, double* inverse, size_t n);
};
std::span<const Variant<const RoundingKernels*>> rounding_variants();

}  // namespace sutra::kernels
