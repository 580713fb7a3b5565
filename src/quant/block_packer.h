// A matrix in GGUF's blocks (quant/ggml_blocks.h) into the kernels' layouts while it is read, sixteen rows at a time.
//
//   Q4_0   exactly: a 4-bit matrix of group size 32 whose zeros are 8
//   Q4_1   exactly: one with offsets
//   Q4_K   one with offsets; what ggml has as products of two numbers, scales and offsets, is rounded to binary16: by
//          2^-11 of itself, where a step of the 4 bits is a fifteenth of a group's range
//   others rounded to 8 bits with one scale for 128 columns: never more than half a step of 1/127 of a group's largest
//          weight, where the blocks themselves are coarser or (Q8_0) as fine
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "quant/q4_matrix.h"
#include "quant/q8_matrix.h"
#include "tensor/tensor.h"

namespace sutra {

class BlockPacker {
 public:
  using Matrix = std::variant<Q4Matrix, Q8Matrix>;

  // Bytes of the result. The shape may come from a file: errors of kernels::q4_packed_bytes and q8_packed_bytes.
  static Result<uint64_t> packed_bytes(Dtype dtype, uint64_t n_rows, uint64_t n_cols);
  // Preconditions: is_block(dtype); rows are whole blocks.
  static Result<BlockPacker> create(Dtype dtype, size_t n_rows, size_t n_cols);

  // The next bytes, in pieces of any size. kNonFinite: a scale is NaN or infinite, or too large for binary16 (Q4_K); the
  // kernels rely on finite ones.
  Status write(std::span<const std::byte> bytes);
  // After the last byte.
  Matrix finish();

 private:
  BlockPacker() = default;
  Status pack(std::span<const std::byte> rows);
  Status pack_q4(std::span<const std::byte> rows, size_t n_rows);
  Status pack_q8(std::span<const std::byte> rows, size_t n_rows);

  Matrix matrix_;
  Dtype dtype_ = Dtype::kQ4_0;
  size_t n_rows_ = 0, n_cols_ = 0, row_bytes_ = 0;
  size_t n_packed_ = 0;  // rows
  AlignedBuffer tile_;   // rows that are not all here yet
  size_t tile_filled_ = 0;
  AlignedBuffer wide_;  // a tile's rows in float32
};

// A whole matrix at once. kNonFinite.
Result<BlockPacker::Matrix> pack_blocks(const TensorView& matrix);

}  // namespace sutra
