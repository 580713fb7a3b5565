// Activations as integers, for the products with packed weights (kernels/gemm_q4, kernels/gemm_q8).
//
//   scale[t, g] = max |x[t, k]| / M over the group,   xq[t, k] = round_half_even(x[t, k] / scale[t, g])
//   A15: M = 127 · 128 (15 bits and a sign),   A8: M = 127,   both for 4-bit weights
//   A14: M = 8191, for 8-bit weights
//
// T tokens, K columns, groups of the weights' group_size along K, G = ceil(K / group_size).
//
// Special values: a group whose scale is below the smallest normal float32 counts as zero (scale 0, xq 0). A group
// with a NaN or an infinity gets scale NaN and xq 0, which makes every result it enters NaN.
//
// A token is stored as (K8 = K rounded up to 8, the padding is zero):
//   scales   G × float32
//   sums     G × int32      Σ xq over the group: carries the weights' zero points
//   pairs    K8 × int16     xq, for products of 16-bit pairs. A15, A8: 8 columns k…k+7 in the order 0 2 4 6 1 3 5 7
//   bytes    int8, 8 columns at a time. A15: 8 × high, then 8 × low, where xq = 128 · high + low with high in
//            [−127, 127] and low in [−64, 63]. A8: 8 × xq. A14: the same as A15 with xq + 8192 = 128 · high + low,
//            both in [0, 127]: where weights are signed bytes, instructions want these unsigned, and some only 7 bits
// padded to a multiple of 64 bytes. Kernels read pairs or bytes, whichever their instructions like.
//
// Numerics: one division and one rounding an element; every variant gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/variant.h"

namespace sutra::kernels {

enum class Precision : uint8_t { kA15, kA8, kA14 };

inline constexpr int32_t kA14Offset = 8192;

constexpr float activation_levels(Precision precision) {
  switch (precision) {
    case Precision::kA15: return 127.0f * 128.0f;
    case Precision::kA8: return 127.0f;
    case Precision::kA14: return 8191.0f;
  }
  return 0.0f;
}
// int8 values a column.
constexpr size_t activation_planes(Precision precision) { return precision == Precision::kA8 ? 1 : 2; }

// Quantised tokens in a buffer of the caller, who keeps it alive. data is aligned to 16 bytes.
struct Activations {
  std::byte* data = nullptr;
  size_t n_tokens = 0;
  size_t n_cols = 0;
  size_t group_size = 0;
  Precision precision = Precision::kA15;

  [[nodiscard]] size_t n_groups() const { return div_up(n_cols, group_size); }
  [[nodiscard]] size_t padded_cols() const { return round_up(n_cols, 8); }
  // From one token to the next.
  [[nodiscard]] size_t token_bytes() const {
    return round_up(n_groups() * (sizeof(float) + sizeof(int32_t)) +
                        padded_cols() * (sizeof(int16_t) + activation_planes(precision)),
                    64);
  }

  [[nodiscard]] float* scales(size_t token) const { return at<float>(token, 0); }
  [[nodiscard]] int32_t* sums(size_t token) const { return at<int32_t>(token, n_groups() * sizeof(float)); }
  [[nodiscard]] int16_t* pairs(size_t token) const { return at<int16_t>(token, n_groups() * 8); }
  [[nodiscard]] int8_t* bytes(size_t token) const { return at<int8_t>(token, n_groups() * 8 + padded_cols() * 2); }

 private:
  template <class T>
  [[nodiscard]] T* at(size_t token, size_t offset) const {
    return reinterpret_cast<T*>(data + token * token_bytes() + offset);
  }
};

// Bytes of the buffer for n_tokens tokens. kInvalidArgument for a group size that is not supported, kTooLarge when it
// does not fit the address space.
Result<uint64_t> activation_bytes(uint64_t n_tokens, uint64_t n_cols, uint64_t group_size, Precision precision);

// One token: x has out.n_cols elements; writes token `token` of out.
using QuantizeActivationsFn = void (*)(const float* x, const Activations& out, size_t token);

// Quantises tokens first ≤ t < last of x [T, K] into out.data of at least activation_bytes bytes. T, K, group size and
// precision are those of `out`. Tokens are independent: threads share the work by them.
void quantize_activations(const float* x, const Activations& out, size_t first_token, size_t last_token);

}  // namespace sutra::kernels
