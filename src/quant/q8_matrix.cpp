#include "quant/q8_matrix.h"

#include <algorithm>

#include "base/assert.h"

namespace sutra {

Result<Q8Matrix> Q8Matrix::quantize(const TensorView& weights) {
  SUTRA_ASSERT(weights.shape.n_dims() == 2);
  Q8Matrix matrix;
  matrix.n_rows_ = static_cast<size_t>(weights.shape[0]);
  matrix.n_cols_ = static_cast<size_t>(weights.shape[1]);
  SUTRA_ASSIGN(const uint64_t bytes, kernels::q8_packed_bytes(matrix.n_rows_, matrix.n_cols_));
  SUTRA_ASSIGN(matrix.data_, AlignedBuffer::create(bytes));
  const size_t row_bytes = matrix.n_cols_ * dtype_bytes(weights.dtype);
  for (size_t row = 0; row < matrix.n_rows_; row += kernels::Q8View::kTileRows) {
    const size_t n = std::min(kernels::Q8View::kTileRows, matrix.n_rows_ - row);
    const TensorView part{weights.dtype, {n, matrix.n_cols_}, weights.bytes.subspan(row * row_bytes, n * row_bytes)};
    SUTRA_ASSIGN(const Tensor wide, to_f32(part));
    const size_t tile_bytes = matrix.view().tile_bytes();
    kernels::quantize_q8(wide.as<float>(), n, matrix.n_cols_,
                         matrix.data_.bytes().subspan(row / kernels::Q8View::kTileRows * tile_bytes, tile_bytes));
  }
  return matrix;
}

}  // namespace sutra
