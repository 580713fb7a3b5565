#include "kernels/gemm_q8/gemm_q8.h"

#include "base/assert.h"
#include "kernels/gemm_q8/variants.h"

namespace sutra::kernels {

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  SUTRA_ASSERT(w.n_cols == x.n_cols && x.group_size == Q8View::group_size && x.precision == Precision::kA14);
  SUTRA_ASSERT(first_row <= last_row && last_row <= w.n_rows);
  SUTRA_ASSERT(first_row % Q8View::kTileRows == 0);
  SUTRA_ASSERT(last_row % Q8View::kTileRows == 0 || last_row == w.n_rows);
  SUTRA_ASSERT(y_stride >= last_row || x.n_tokens <= 1);
  select(kGemmQ8Variants)(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels
