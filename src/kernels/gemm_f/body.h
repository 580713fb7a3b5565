// The float matrix product over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include <cstdint>

#include "kernels/gemm_f/gemm_f.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

// How a weight element is stored and becomes a vector of float32.
template <class V>
struct F32Weights {
  using Element = float;
  static SUTRA_ALWAYS_INLINE V load(const float* from) { return V::load(from, AllLanes{}); }
};
template <class V>
struct F16Weights {
  using Element = uint16_t;
  static SUTRA_ALWAYS_INLINE V load(const uint16_t* from) { return V::load_f16(from); }
};
template <class V>
struct BF16Weights {
  using Element = uint16_t;
  static SUTRA_ALWAYS_INLINE V load(const uint16_t* from) { return V::load_bf16(from); }
};

// A tile of rows × tokens has rows · tokens · (16 / lanes) accumulators; eight leave room for the operands in sixteen
// registers. Two-byte weights want their conversion shared by tokens, and one row's accumulators need no second one.
template <class V, class Weights>
struct GemmFBody {
  using Element = typename Weights::Element;
  static constexpr size_t kVectors = PartialSums<V>::kVectors;
  static constexpr size_t kTileRows = 8 / kVectors;  // with one token
  static constexpr size_t kTileTokens = 2;           // with half as many rows

  // Up to fifteen elements, filled up with zeros.
  template <class T>
  static SUTRA_ALWAYS_INLINE void pad(const T* from, size_t n, T* to) {
    for (size_t i = 0; i < kPartialSums; ++i) to[i] = i < n ? from[i] : T{0};
  }

  template <size_t kRows, size_t kTokens>
  static SUTRA_ALWAYS_INLINE void step(const Element* const* w, const float* const* x, size_t k,
                                       PartialSums<V> (&sums)[kRows][kTokens]) {
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) {
      V activation[kTokens];
      SUTRA_UNROLL
      for (size_t j = 0; j < kTokens; ++j) activation[j] = V::load(x[j] + k + b * V::kLanes, AllLanes{});
      SUTRA_UNROLL
      for (size_t i = 0; i < kRows; ++i) {
        const V weight = Weights::load(w[i] + k + b * V::kLanes);
        SUTRA_UNROLL
        for (size_t j = 0; j < kTokens; ++j) sums[i][j].part[b] = sums[i][j].part[b] + weight * activation[j];
      }
    }
  }

  template <size_t kRows, size_t kTokens>
  static void tile(const GemmFArgs& args, size_t row, size_t token) {
    const size_t n_cols = args.w.n_cols;
    const Element* w[kRows];
    const float* x[kTokens];
    PartialSums<V> sums[kRows][kTokens];
    for (size_t i = 0; i < kRows; ++i) w[i] = static_cast<const Element*>(args.w.data) + (row + i) * n_cols;
    for (size_t j = 0; j < kTokens; ++j) x[j] = args.x + (token + j) * n_cols;
    SUTRA_UNROLL
    for (size_t i = 0; i < kRows; ++i) {
      SUTRA_UNROLL
      for (size_t j = 0; j < kTokens; ++j) sums[i][j] = PartialSums<V>::zero();
    }
    size_t k = 0;
    for (; n_cols - k >= kPartialSums; k += kPartialSums) step(w, x, k, sums);
    if (k < n_cols) {
      Element w_padded[kRows][kPartialSums];
      float x_padded[kTokens][kPartialSums];
      for (size_t i = 0; i < kRows; ++i) {
        pad(w[i] + k, n_cols - k, w_padded[i]);
        w[i] = w_padded[i];
      }
      for (size_t j = 0; j < kTokens; ++j) {
        pad(x[j] + k, n_cols - k, x_padded[j]);
        x[j] = x_padded[j];
      }
      step(w, x, 0, sums);
    }
    SUTRA_UNROLL
    for (size_t i = 0; i < kRows; ++i) {
      SUTRA_UNROLL
      for (size_t j = 0; j < kTokens; ++j) args.y[(token + j) * args.y_stride + row + i] = sums[i][j].total();
    }
  }

  // Rows outside, so that weights come from memory once and stay in the cache for all tokens.
  template <size_t kRows, size_t kTokens>
  static size_t rows(const GemmFArgs& args, size_t first_row, size_t first_token, size_t last_token) {
    size_t row = first_row;
    for (; args.last_row - row >= kRows; row += kRows) {
      size_t token = first_token;
      for (; last_token - token >= kTokens; token += kTokens) tile<kRows, kTokens>(args, row, token);
      for (; token < last_token; ++token) tile<kRows, 1>(args, row, token);
    }
    return row;
  }

  static void run(const GemmFArgs& args) {
    size_t row = args.first_row;
    if (args.n_tokens == 1) {
      row = rows<kTileRows, 1>(args, row, 0, 1);
    } else if constexpr (kTileRows / kTileTokens > 1) {
      row = rows<kTileRows / kTileTokens, kTileTokens>(args, row, 0, args.n_tokens);
    }
    rows<1, kTileTokens>(args, row, 0, args.n_tokens);
  }
};

template <class V>
void gemm_f_body(const GemmFArgs& args) {
  switch (args.w.dtype) {
    case Dtype::kF32: return GemmFBody<V, F32Weights<V>>::run(args);
    case Dtype::kF16: return GemmFBody<V, F16Weights<V>>::run(args);
    case Dtype::kBF16: return GemmFBody<V, BF16Weights<V>>::run(args);
    default: return;  // gemm_f() has refused it
  }
}

}  // namespace
}  // namespace sutra::kernels
