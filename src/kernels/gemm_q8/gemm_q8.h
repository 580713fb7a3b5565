// Product of an 8-bit matrix with quantised activations.
//
//   y[t, n] = Σ_g float(I[t, n, g]) · (scale_w[n, g] · scale_x[t, g])
//   I[t, n, g] = Σ_{k in g} q[n, k] · xq[t, k]     exact, in int32
//
// T tokens, N rows (outputs), K columns (inputs), groups of 128 columns.
//
// Preconditions: x has w's n_cols, groups of 128 and precision A14. first_row is a multiple of 16, and so is last_row
// unless it is w.n_rows. y has T rows of at least last_row elements, y_stride apart. Rows outside [first_row, last_row)
// are not touched: threads share the work by rows. Nothing is allocated.
//
// Numerics: the groups are added in order, starting from 0, without fused operations, so every variant and every split
// gives the same bits. |I| ≤ 127 · 8191 · 128 < 2^27. A NaN in scale_x (activations.h) makes the token's results NaN.
#pragma once

#include <cstddef>

#include "base/error.h"
#include "kernels/activations/activations.h"
#include "kernels/gemm_q8/layout.h"

namespace sutra::kernels {

using GemmQ8Fn = void (*)(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y,
                          size_t y_stride);

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);

}  // namespace sutra::kernels
