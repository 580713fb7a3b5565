#include "kernels/gemm_q4/gemm_q4.h"

#include "base/assert.h"
#include "kernels/gemm_q4/variants.h"

namespace sutra::kernels {

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  SUTRA_ASSERT(w.n_cols == x.n_cols && w.group_size == x.group_size);
  SUTRA_ASSERT(first_row <= last_row && last_row <= w.n_rows);
  SUTRA_ASSERT(first_row % kQ4TileRows == 0);
  SUTRA_ASSERT(last_row % kQ4TileRows == 0 || last_row == w.n_rows);
  SUTRA_ASSERT(y_stride >= last_row || x.n_tokens <= 1);
  select(kGemmQ4Variants)(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels
