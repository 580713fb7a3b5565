// Product of a 4-bit matrix with quantised activations: T = 1 in decoding, T > 1 in prefill.
//
//   y[t, n] = Σ_g float(I[t, n, g]) · (scale_w[n, g] · scale_x[t, g])
//   I[t, n, g] = Σ_{k in g} (q[n, k] − zero[n, g]) · xq[t, k]     exact, in int32
//
// With offsets zero is 0, and after each group's product comes offset[n, g] · (float(Σ_{k in g} xq[t, k]) · scale_x[t, g]).
//
// T tokens, N rows (outputs), K columns (inputs), G groups.
//
// Preconditions: w and x have the same n_cols and group_size. first_row is a multiple of 16, and so is last_row unless
// it is w.n_rows. y has T rows of at least last_row elements, y_stride apart. Rows outside [first_row, last_row) are
// not touched: threads share the work by rows. Nothing is allocated.
//
// Numerics: the groups are added in order, starting from 0, without fused operations, so every variant and every split
// gives the same bits. |I| ≤ 255 · 16256 · 128 < 2^30. A NaN in scale_x (activations.h) makes the token's results NaN.
#pragma once

#include <cstddef>

#include "base/error.h"
#include "kernels/activations/activations.h"
#include "kernels/gemm_q4/layout.h"

namespace sutra::kernels {

using GemmQ4Fn = void (*)(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y,
                          size_t y_stride);

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);

}  // namespace sutra::kernels
