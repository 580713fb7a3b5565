#include "quant/q4_matrix.h"

namespace sutra {

Result<Q4Matrix> Q4Matrix::create(size_t n_rows, size_t n_cols, size_t group_size, kernels::Q4Form form) {
  SUTRA_ASSIGN(const uint64_t bytes, kernels::q4_packed_bytes(n_rows, n_cols, group_size, form));
  Q4Matrix matrix;
  SUTRA_ASSIGN(matrix.data_, AlignedBuffer::create(bytes, Contents::kUndefined));
  matrix.n_rows_ = n_rows;
  matrix.n_cols_ = n_cols;
  matrix.group_size_ = group_size;
  matrix.form_ = form;
  return matrix;
}

Result<Tensor> widen(const Q4Matrix& matrix) {
  SUTRA_ASSIGN(Tensor wide, Tensor::create(Dtype::kF32, {matrix.n_rows(), matrix.n_cols()}, Contents::kUndefined));
  for (size_t row = 0; row < matrix.n_rows(); ++row) {
    kernels::unpack_row_q4(matrix.view(), row, wide.as<float>().data() + row * matrix.n_cols());
  }
  return wide;
}

}  // namespace sutra
