// The Hugging Face AWQ "gemm" layout, read and written (AutoAWQ's WQLinear_GEMM):
//
//   qweight  I32 [K, N/8]   qzeros  I32 [G, N/8]   scales  F16 [G, N]     w = (q − zero) · scale
//
// K inputs, N outputs (a multiple of 8), G = ceil(K / group_size). Nibble i of word c belongs to output 8c + kAwqOrder[i].
// With 8 bits a word has four numbers, [K, N/4] and [G, N/4]: byte i of word c is output 4c + kAwqByteOrder[i]. What is
// written has zeros of 128 then, as the kernels' layout of 8 bits (q8_matrix.h), which holds groups of 128 exactly whose
// largest number is one of the ends; others are rounded once more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "quant/q4_matrix.h"
#include "quant/q8_matrix.h"
#include "tensor/tensor.h"

namespace sutra {

inline constexpr std::array<size_t, 8> kAwqOrder = {0, 2, 4, 6, 1, 3, 5, 7};
inline constexpr std::array<size_t, 4> kAwqByteOrder = {0, 2, 1, 3};

// What weights are rounded to. 3 bits are written in the layout of 4.
struct RoundingFormat {
  int bits = 4;  // 3, 4 or 8
  size_t group_size = 128;
  [[nodiscard]] float levels() const { return static_cast<float>((1 << bits) - 1); }
  // The least level: the kernels' 8 bits are symmetric.
  [[nodiscard]] float lowest() const { return bits == 8 ? 1.0f : 0.0f; }
};

// A quantised matrix before any packing, row-major, as the quantizer makes it: in 4 bits, or 8.
struct Q4Integers {
  size_t n_rows = 0, n_cols = 0, group_size = 0;
  std::vector<uint8_t> nibbles;  // [N, K], 0…15, of 8 bits 0…255
  std::vector<uint8_t> zeros;    // [N, G], the same
  std::vector<uint16_t> scales;  // [N, G], binary16
  int bits = 4;                  // of the layout: 4 or 8

  [[nodiscard]] size_t n_groups() const { return (n_cols + group_size - 1) / group_size; }
  // Row-major [N, K] values (q − zero) · scale of row `row`.
  void dequantize_row(size_t row, float* out) const;
};

struct AwqTensors {
  Tensor qweight, qzeros, scales;
  size_t group_size = 0;
};

// True where the layout can hold a matrix of n_out outputs.
constexpr bool awq_can_hold(size_t n_out) { return n_out % 8 == 0; }
// The shapes of the three tensors for a matrix [n_out, n_in].
Shape awq_qweight_shape(size_t n_out, size_t n_in, int bits = 4);
Shape awq_qzeros_shape(size_t n_out, size_t n_in, size_t group_size, int bits = 4);
Shape awq_scales_shape(size_t n_out, size_t n_in, size_t group_size);

// Dtypes and shapes of `tensors` are as above. kNonFinite names the matrix when a scale is NaN or infinite.
Result<Q4Matrix> repack_awq(const AwqTensors& tensors, size_t n_out, size_t n_in, size_t group_size,
                            std::string_view name);

// The same of 8 bits, as it is multiplied and as float32 [N, K]. See above for what the former rounds.
Result<Q8Matrix> repack_awq_bytes(const AwqTensors& tensors, std::string_view name);
Result<Tensor> widen_awq_bytes(const AwqTensors& tensors, std::string_view name);

// The tensors of a matrix [n_out, n_in], and some of its rows put into them. kInvalidArgument when n_out is no multiple of 8,
// as first_row and the rows' number have to be.
Result<AwqTensors> create_awq(size_t n_out, size_t n_in, size_t group_size, int bits);
void pack_awq(const Q4Integers& rows, size_t first_row, AwqTensors& out);
// All of them at once.
Result<AwqTensors> to_awq(const Q4Integers& matrix);

}  // namespace sutra
