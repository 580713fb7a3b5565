// The rounding of weights over any vector type; every variant, the scalar one included, is an instance.
#pragma once

#include "kernels/rounding/rounding.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

inline constexpr float kSmallestRange = 1e-5f;
// Added and taken away again it leaves a whole number, halves going to the even one: 1.5 · 2^23.
inline constexpr float kRound = 12582912.0f;

template <class V>
struct RoundingBody {
  static SUTRA_ALWAYS_INLINE V round(V x) { return (x + V::constant(kRound)) - V::constant(kRound); }
  static SUTRA_ALWAYS_INLINE float round(float x) { return (x + kRound) - kRound; }
  static SUTRA_ALWAYS_INLINE float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

  // Calls body(group, first, last) for the columns of each group.
  template <class Body>
  static SUTRA_ALWAYS_INLINE void for_groups(const RoundingRow& row, const Body& body) {
    for (size_t group = 0, first = 0; first < row.n_cols; ++group, first += row.group_size) {
      const size_t left = row.n_cols - first;
      body(group, first, first + (left < row.group_size ? left : row.group_size));
    }
  }

  template <bool kScaled>
  static SUTRA_ALWAYS_INLINE void ranges(const RoundingRow& row, float* low, float* high) {
    for_groups(row, [&](size_t group, size_t first, size_t last) {
      V least = V::zero(), largest = V::zero();
      for_lanes<V>(first, last, [&](size_t k, auto lanes) {
        V w = V::load(row.w + k, lanes);
        if constexpr (kScaled) w = w * V::load(row.factor + k, lanes);
        least = V::min(w, least);
        largest = V::max(w, largest);
      });
      float lows[V::kLanes], highs[V::kLanes];
      least.store(lows, AllLanes{});
      largest.store(highs, AllLanes{});
      float a = lows[0], b = highs[0];
      for (size_t i = 1; i < V::kLanes; ++i) {
        a = lows[i] < a ? lows[i] : a;
        b = highs[i] > b ? highs[i] : b;
      }
      low[group] = a;
      high[group] = b;
    });
  }

  static void group_ranges(const RoundingRow& row, float* low, float* high) {
    if (row.factor == nullptr) {
      ranges<false>(row, low, high);
    } else {
      ranges<true>(row, low, high);
    }
  }

  template <bool kScaled>
  static SUTRA_ALWAYS_INLINE void errors(const RoundingRow& row, const float* low, const float* high, float levels,
                                         float* error) {
    const V top = V::splat(levels), zeros = V::zero();
    for_groups(row, [&](size_t group, size_t first, size_t last) {
      const float range = high[group] - low[group];
      const float step = (range > kSmallestRange ? range : kSmallestRange) / levels;
      const float zero_point = clamp(-round(low[group] / step), 0.0f, levels);
      const V scale = V::splat(step), per_step = V::splat(1.0f / step), zero = V::splat(zero_point);
      for_lanes<V>(first, last, [&](size_t k, auto lanes) {
        const V w = V::load(row.w + k, lanes);
        V scaled = w;
        if constexpr (kScaled) scaled = w * V::load(row.factor + k, lanes);
        const V q = V::min(V::max(round(scaled * per_step) + zero, zeros), top);
        V rounded = (q - zero) * scale;
        if constexpr (kScaled) rounded = rounded * V::load(row.inverse + k, lanes);
        (rounded - w).store(error + k, lanes);
      });
    });
  }

  static void rounding_error(const RoundingRow& row, const float* low, const float* high, float levels, float* error) {
    if (row.factor == nullptr) {
      errors<false>(row, low, high, levels, error);
    } else {
      errors<true>(row, low, high, levels, error);
    }
  }

  static float weighted_error(const float* error, const float* variance, const float* mean, size_t n_cols) {
    const float spread = sum_of<V>(n_cols, [&](size_t k, auto lanes) {
      const V e = V::load(error + k, lanes);
      return e * e * V::load(variance + k, lanes);
    });
    const float shift =
        sum_of<V>(n_cols, [&](size_t k, auto lanes) { return V::load(error + k, lanes) * V::load(mean + k, lanes); });
    return spread + shift * shift;
  }

  // kRows rows of the products and kVectors vectors of their columns, summed over the tokens in registers.
  template <size_t kRows, size_t kVectors, class Lanes>
  static SUTRA_ALWAYS_INLINE void product_tile(const float* x, size_t n_tokens, size_t stride, size_t n, size_t row,
                                               size_t column, Lanes lanes, float* products) {
    V sums[kRows][kVectors];
    SUTRA_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] = V::zero();
    }
    for (size_t t = 0; t < n_tokens; ++t) {
      const float* at = x + t * stride;
      V columns[kVectors];
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) columns[v] = V::load(at + column + v * V::kLanes, lanes);
      SUTRA_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const V own = V::splat(at[row + r]);
        SUTRA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) sums[r][v] = sums[r][v] + own * columns[v];
      }
    }
    SUTRA_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        float* to = products + (row + r) * n + column + v * V::kLanes;
        (V::load(to, lanes) + sums[r][v]).store(to, lanes);
      }
    }
  }

  // From the diagonal on.
  template <size_t kRows>
  static SUTRA_ALWAYS_INLINE void product_rows(const float* x, size_t n_tokens, size_t stride, size_t n, size_t row,
                                               float* products) {
    constexpr size_t kPair = 2 * V::kLanes;
    size_t column = row / kPair * kPair;
    for (; n - column >= kPair; column += kPair) {
      product_tile<kRows, 2>(x, n_tokens, stride, n, row, column, AllLanes{}, products);
    }
    for_lanes<V>(column, n, [&](size_t at, auto lanes) {
      product_tile<kRows, 1>(x, n_tokens, stride, n, row, at, lanes, products);
    });
  }

  static void add_products(const float* x, size_t n_tokens, size_t stride, size_t n, float* products) {
    size_t row = 0;
    for (; n - row >= 4; row += 4) product_rows<4>(x, n_tokens, stride, n, row, products);
    for (; row < n; ++row) product_rows<1>(x, n_tokens, stride, n, row, products);
  }
};

template <class V>
constexpr RoundingKernels rounding_kernels() {
  using Body = RoundingBody<V>;
  return {Body::group_ranges, Body::rounding_error, Body::weighted_error, Body::add_products};
}

}  // namespace
}  // namespace sutra::kernels
