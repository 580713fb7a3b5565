// An AWQ matrix into the kernels' layout while it is read: the nibbles row by row as the bytes of qweight arrive, zeros
// and scales once both are there. Beside the result, eight rows of qweight are held.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "quant/q4_matrix.h"
#include "tensor/tensor.h"

namespace sutra {

class AwqPacker {
 public:
  // n_out is a multiple of 8. Errors: those of Q4Matrix::create.
  static Result<AwqPacker> create(size_t n_out, size_t n_in, size_t group_size);

  // The next bytes of qweight [K, N/8], in pieces of any size, K · N/2 bytes in all.
  void write(std::span<const std::byte> bytes);
  // After the last byte: the matrix, whose groups are not set yet.
  Q4Matrix finish();

 private:
  AwqPacker() = default;
  // Packs n_slabs times eight rows that begin at `rows`.
  void pack(const std::byte* rows, size_t n_slabs);

  Q4Matrix matrix_;
  AlignedBuffer slab_;  // the rows that do not fill a block yet
  size_t slab_filled_ = 0;
  size_t slabs_packed_ = 0;
};

// kNonFinite names the matrix when a scale of F16 [G, N] is NaN or infinite: the kernels rely on finite ones.
Status check_awq_scales(const TensorView& scales, std::string_view name);

// Zeros and scales of `matrix` from qzeros I32 [G, N/8] and scales F16 [G, N]. Errors of check_awq_scales().
Status set_awq_groups(const TensorView& qzeros, const TensorView& scales, std::string_view name, Q4Matrix& matrix);

}  // namespace sutra
