// An owned 8-bit matrix in the kernels' layout (kernels/gemm_q8/layout.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "kernels/gemm_q8/layout.h"
#include "tensor/tensor.h"

namespace sutra {

class Q8Matrix {
 public:
  // All zero; sizes may come from a file. Errors of kernels::q8_packed_bytes, kOutOfMemory.
  static Result<Q8Matrix> create(size_t n_rows, size_t n_cols);
  // Rounds a finite float matrix [N, K]; sixteen rows at a time are widened. kOutOfMemory.
  static Result<Q8Matrix> quantize(const TensorView& weights);

  [[nodiscard]] kernels::Q8View view() const { return {data_.data(), n_rows_, n_cols_}; }
  [[nodiscard]] std::span<std::byte> bytes() { return data_.bytes(); }
  [[nodiscard]] size_t size_bytes() const { return data_.size(); }
  [[nodiscard]] size_t n_rows() const { return n_rows_; }
  [[nodiscard]] size_t n_cols() const { return n_cols_; }

 private:
  AlignedBuffer data_;
  size_t n_rows_ = 0, n_cols_ = 0;
};

}  // namespace sutra
