// 4-bit matrices whose files hold them row by row, eight columns a word in natural order (nibble i of word c is column
// 8c + i), repacked into the kernels' layout when a model takes them. N outputs, K inputs, groups of g columns:
//
//   AutoAWQ "gemv"        qweight  I32 [N, K/8]; qzeros I32 [N, Z], scales F16 [N, 8·Z], padded: Z = ⌈K/g/8⌉, rounded up
//                         to a multiple of 128/g for g < 128
//   compressed-tensors    weight_packed I32 [N, ⌈K/8⌉]; weight_scale F16, BF16 or F32 [N, ⌈K/g⌉]; weight_shape I64 [2];
//   "pack-quantized"      weight_zero_point I32 [⌈N/8⌉, ⌈K/g⌉], rows in words, or I8 [N, ⌈K/g⌉], or none. Numbers are
//                         signed and stored with 8 added.
//
//   w = (q − zero) · scale
//
// Sources: AutoAWQ, WQLinear_GEMV; compressed-tensors, pack_quantized.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "quant/packed_config.h"
#include "quant/q4_matrix.h"
#include "quant/weight_map.h"

namespace sutra {

// Whether the matrix `name` is there in this or the AWQ layout, and the matrix as it is multiplied; `exact`: its values as
// a Tensor. Errors as below.
[[nodiscard]] bool has_packed(const WeightMap& weights, std::string_view name, PackedLayout layout);
Result<WeightMatrix> take_packed(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in,
                                 const PackedConfig& config, bool exact);

// Errors of both: kNotFound, kDtypeMismatch and kShapeMismatch, naming the tensor; kNonFinite when a scale is NaN, infinite
// or beyond what 16 bits hold. group_size 0 stands for one group a row.
Result<Q4Matrix> take_gemv(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in, size_t group_size);
Result<Q4Matrix> take_pack_quantized(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in,
                                     size_t group_size);

// The kernels' group size for a file's: the same, or 128 where it is a multiple of that. kUnsupported for others.
Result<size_t> kernel_group_size(size_t group_size, size_t n_in);

}  // namespace sutra
