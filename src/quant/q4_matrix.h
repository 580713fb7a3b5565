// An owned 4-bit matrix in the kernels' layout (kernels/gemm_q4/layout.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "kernels/gemm_q4/layout.h"
#include "tensor/tensor.h"

namespace sutra {

class Q4Matrix {
 public:
  // Not filled; sizes may come from a file. Errors of kernels::q4_packed_bytes, kOutOfMemory.
  static Result<Q4Matrix> create(size_t n_rows, size_t n_cols, size_t group_size,
                                 kernels::Q4Form form = kernels::Q4Form::kZeros);

  [[nodiscard]] kernels::Q4View view() const { return {data_.data(), n_rows_, n_cols_, group_size_, form_}; }
  [[nodiscard]] std::span<std::byte> bytes() { return data_.bytes(); }
  [[nodiscard]] size_t size_bytes() const { return data_.size(); }
  [[nodiscard]] size_t n_rows() const { return n_rows_; }
  [[nodiscard]] size_t n_cols() const { return n_cols_; }
  [[nodiscard]] size_t group_size() const { return group_size_; }

 private:
  AlignedBuffer data_;
  size_t n_rows_ = 0, n_cols_ = 0, group_size_ = 0;
  kernels::Q4Form form_ = kernels::Q4Form::kZeros;
};

// The same weights in float32.
Result<Tensor> widen(const Q4Matrix& matrix);

}  // namespace sutra
