// GGUF's block types: consecutive elements of a row share scales. In the order of a block's bytes, all little-endian,
// with d, m, dmin binary16, q_i the element's integer, "low" and "high" the halves of a byte:
//
//   Q4_0  32 in  18 bytes   d; 16 bytes, byte i: low q_i, high q_(i+16)                        w = d (q − 8)
//   Q4_1  32 in  20 bytes   d, m; the same 16 bytes                                            w = d q + m
//   Q5_0  32 in  22 bytes   d; 32 bits h; the same 16 bytes; bit i of h is bit 4 of q_i        w = d (q − 16)
//   Q5_1  32 in  24 bytes   d, m; h; the same 16 bytes                                         w = d q + m
//   Q8_0  32 in  34 bytes   d; 32 int8                                                         w = d q
//   Q4_K 256 in 144 bytes   d, dmin; 12 bytes of s_j, t_j; 128 bytes                           w = d s_j q − dmin t_j
//   Q5_K 256 in 176 bytes   d, dmin; 12 bytes of s_j, t_j; 32 bytes h; 128 bytes               w = d s_j q − dmin t_j
//   Q6_K 256 in 210 bytes   128 bytes of low 4 bits, 64 bytes of high 2 bits; 16 int8 s_j; d   w = d s_j (q − 32)
//
// Q4_K, Q5_K: eight runs j of 32 elements. Byte i of the c-th 32 of the 128 bytes has run 2c low and run 2c + 1 high, at
// their place i; bit j of byte i of h is bit 4 of run j's. s_j and t_j have 6 bits: those of j < 4 in the low 6 bits of
// byte j and byte j + 4; those of j ≥ 4 as the halves of byte j + 4, with the two top bits of byte j − 4 and byte j above.
// Q6_K: sixteen runs j of 16 elements. For each half of 128: element 32 c + i has the low (c < 2) or high half of byte
// 32 (c mod 2) + i of that half's 64, and bits 2c, 2c + 1 of byte i of its 32.
//
// Arithmetic: the products d s_j and dmin t_j are rounded to float32, then their product with q and the difference.
// Source: ggml, ggml-common.h (layouts); compared with gguf-py's values in tests/quant/ggml_blocks_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "tensor/tensor.h"

namespace sutra {

// out.size() elements from as many blocks; they may be NaN or infinite where a scale is. Precondition: is_block(dtype).
void dequantize_blocks(Dtype dtype, std::span<const std::byte> blocks, std::span<float> out);

// A Q4_K block's run of 32 elements: w = scale q − min, with q the low halves of `bytes` in even runs, else the high ones.
struct Q4KRun {
  float scale, min;
  const std::byte* bytes;
};
inline constexpr size_t kQ4KRuns = 8;
Q4KRun q4_k_run(const std::byte* block, size_t run);

// The block types that are written.
constexpr bool can_quantize_blocks(Dtype dtype) { return dtype == Dtype::kQ4_0 || dtype == Dtype::kQ8_0; }
// Finite values as blocks, by ggml's rules: Q8_0 d = max |w| / 127; Q4_0 d = w / −8 of the w that is largest in
// magnitude. q is rounded with the d of float32, which is then stored in binary16. Blocks whose
// d is subnormal become zero. Preconditions: can_quantize_blocks(dtype); values.size() is whole blocks and `out` theirs.
void quantize_blocks(Dtype dtype, std::span<const float> values, std::span<std::byte> out);

// A tensor of floats or of blocks as F32. kDtypeMismatch for integers, kNonFinite for blocks with NaN or infinity.
Result<Tensor> widen(const TensorView& source);

// Multiplies every element by 2^exponent, in the dtype that it has. kNonFinite where that cannot hold the product;
// kDtypeMismatch for integers.
Status scale_by_power_of_2(Tensor& tensor, int exponent);

}  // namespace sutra
