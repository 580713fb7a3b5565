#include "quant/q8_matrix.h"

#include <algorithm>

#include "base/assert.h"

namespace sutra {

Result<Q8Matrix> Q8Matrix::create(size_t n_rows, size_t n_cols) {
  SUTRA_ASSIGN(const uint64_t bytes, kernels::q8_packed_bytes(n_rows, n_cols));
  Q8Matrix matrix;
  SUTRA_ASSIGN(matrix.data_, AlignedBuffer::create(bytes));
  matrix.n_rows_ = n_rows;
  matrix.n_cols_ = n_cols;
  return matrix;
}

Result<Q8Matrix> Q8Matrix::quantize(const TensorView& weights) {
  SUTRA_ASSERT(weights.shape.n_dims() == 2);
  const auto n_rows = static_cast<size_t>(weights.shape[0]), n_cols = static_cast<size_t>(weights.shape[1]);
  SUTRA_ASSIGN(Q8Matrix matrix, create(n_rows, n_cols));
  const size_t row_bytes = n_cols * dtype_bytes(weights.dtype);
  const size_t tile_bytes = matrix.view().tile_bytes();
  for (size_t row = 0; row < n_rows; row += kernels::Q8View::kTileRows) {
    const size_t n = std::min(kernels::Q8View::kTileRows, n_rows - row);
    const TensorView part{weights.dtype, {n, n_cols}, weights.bytes.subspan(row * row_bytes, n * row_bytes)};
    SUTRA_ASSIGN(const Tensor wide, to_f32(part));
    kernels::quantize_q8(wide.as<float>(), n, n_cols,
                         matrix.bytes().subspan(row / kernels::Q8View::kTileRows * tile_bytes, tile_bytes));
  }
  return matrix;
}

}  // namespace sutra
