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
      // Never −0.
      V least = V::zero(), largest = V::zero();
      for_lanes<V>(first, last, [&](size_t k, auto lanes) {
        V w = V::load(row.w + k, lanes);
        if constexpr (kScaled) w = w * V::load(row.factor + k, lanes);
        least = V::min(w, least);
        largest = V::max(w, largest);
      });
      low[group] = V::least(least);
      high[group] = V::largest(largest);
    });
  }

  static void group_ranges(const RoundingRow& row, float* low, float* high) {
    if (row.factor == nullptr) {
      ranges<false>(row, low, high);
    } else {
      ranges<true>(row, low, high);
    }
  }

  // What a group's range makes of its weights. round(x) is left as it is before kRound is taken away, where
  // the levels' ends are numbers too: a clamp there and one subtraction are q − zero.
  struct Levels {
    V scale, per_step, bottom, top;

    [[nodiscard]] SUTRA_ALWAYS_INLINE V rounded(V w) const {
      const V whole = V::min(V::max(w * per_step + V::constant(kRound), bottom), top);
      return (whole - V::constant(kRound)) * scale;
    }
  };

  // Levels of several ranges: their divisions are made side by side.
  struct LevelsTable {
    static constexpr size_t kRanges = 16;
    float scale[kRanges], per_step[kRanges], bottom[kRanges], top[kRanges];

    SUTRA_ALWAYS_INLINE void fill(const float* low, const float* high, size_t n, float levels) {
      for_lanes<V>(0, n < kRanges ? n : kRanges, [&](size_t i, auto lanes) {
        const V lowest = V::load(low + i, lanes), most = V::splat(levels);
        const V step = V::max(V::load(high + i, lanes) - lowest, V::constant(kSmallestRange)) / most;
        const V whole = (lowest / step + V::constant(kRound)) - V::constant(kRound);
        const V zero = V::min(most, V::max(V::zero(), V::zero() - whole));
        step.store(scale + i, lanes);
        (V::splat(1.0f) / step).store(per_step + i, lanes);
        (V::constant(kRound) - zero).store(bottom + i, lanes);
        (V::constant(kRound) + (most - zero)).store(top + i, lanes);
      });
    }

    [[nodiscard]] SUTRA_ALWAYS_INLINE Levels at(size_t i) const {
      return {V::splat(scale[i]), V::splat(per_step[i]), V::splat(bottom[i]), V::splat(top[i])};
    }
  };

  // for_groups() with body(levels, first, last).
  template <class Body>
  static SUTRA_ALWAYS_INLINE void for_group_levels(const RoundingRow& row, const float* low, const float* high,
                                                   float levels, const Body& body) {
    const size_t n_groups = (row.n_cols + row.group_size - 1) / row.group_size;
    LevelsTable table;
    for_groups(row, [&](size_t group, size_t first, size_t last) {
      const size_t at = group % LevelsTable::kRanges;
      if (at == 0) table.fill(low + group, high + group, n_groups - group, levels);
      body(table.at(at), first, last);
    });
  }

  template <bool kScaled, class Lanes>
  static SUTRA_ALWAYS_INLINE V error_of(const RoundingRow& row, const Levels& levels, size_t k, Lanes lanes) {
    const V w = V::load(row.w + k, lanes);
    if constexpr (kScaled) {
      return levels.rounded(w * V::load(row.factor + k, lanes)) * V::load(row.inverse + k, lanes) - w;
    } else {
      return levels.rounded(w) - w;
    }
  }

  template <bool kScaled>
  static SUTRA_ALWAYS_INLINE void errors(const RoundingRow& row, const float* low, const float* high, float levels,
                                         float* error) {
    for_group_levels(row, low, high, levels, [&](const Levels& own, size_t first, size_t last) {
      for_lanes<V>(first, last,
                   [&](size_t k, auto lanes) { error_of<kScaled>(row, own, k, lanes).store(error + k, lanes); });
    });
  }

  static void rounding_error(const RoundingRow& row, const float* low, const float* high, float levels, float* error) {
    if (row.factor == nullptr) {
      errors<false>(row, low, high, levels, error);
    } else {
      errors<true>(row, low, high, levels, error);
    }
  }

  // The sums of moment_error().
  struct MomentSums {
    PartialSums<V> spread = PartialSums<V>::zero(), shift = PartialSums<V>::zero();

    template <class Lanes>
    SUTRA_ALWAYS_INLINE void add(size_t part, V e, const Moments& moments, size_t k, Lanes lanes) {
      spread.part[part] = spread.part[part] + e * e * V::load(moments.variance + k, lanes);
      shift.part[part] = shift.part[part] + e * V::load(moments.mean + k, lanes);
    }

    [[nodiscard]] SUTRA_ALWAYS_INLINE float total() const {
      const float shifted = shift.total();
      return spread.total() + shifted * shifted;
    }
  };

  // Columns first ≤ k < last of a row, first being a multiple of kPartialSums.
  template <bool kScaled>
  static SUTRA_ALWAYS_INLINE void add_moments(const RoundingRow& row, const Levels& levels, const Moments& moments,
                                              size_t first, size_t last, MomentSums& sums) {
    size_t i = first;
    for (; last - i >= kPartialSums; i += kPartialSums) {
      SUTRA_UNROLL
      for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
        const size_t k = i + b * V::kLanes;
        sums.add(b, error_of<kScaled>(row, levels, k, AllLanes{}), moments, k, AllLanes{});
      }
    }
    SUTRA_UNROLL
    for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
      const size_t k = i + b * V::kLanes;
      if (k >= last) break;
      if (last - k >= V::kLanes) {
        sums.add(b, error_of<kScaled>(row, levels, k, AllLanes{}), moments, k, AllLanes{});
      } else if constexpr (V::kLanes > 1) {
        const FirstLanes lanes{last - k};
        sums.add(b, error_of<kScaled>(row, levels, k, lanes), moments, k, lanes);
      }
    }
  }

  template <bool kScaled>
  static SUTRA_ALWAYS_INLINE float moment_error_of(const RoundingRow& row, const float* low, const float* high,
                                                   float levels, const Moments& moments) {
    MomentSums sums;
    for_group_levels(row, low, high, levels, [&](const Levels& own, size_t first, size_t last) {
      add_moments<kScaled>(row, own, moments, first, last, sums);
    });
    return sums.total();
  }

  static float moment_error(const RoundingRow& row, const float* low, const float* high, float levels,
                            const Moments& moments) {
    return row.factor == nullptr ? moment_error_of<false>(row, low, high, levels, moments)
                                 : moment_error_of<true>(row, low, high, levels, moments);
  }

  static void range_errors(const RoundingRow& row, const float* low, const float* high, size_t n_ranges, float levels,
                           const Moments& moments, float* errors) {
    LevelsTable table;
    for (size_t i = 0; i < n_ranges; ++i) {
      const size_t at = i % LevelsTable::kRanges;
      if (at == 0) table.fill(low + i, high + i, n_ranges - i, levels);
      MomentSums sums;
      add_moments<false>(row, table.at(at), moments, 0, row.n_cols, sums);
      errors[i] = sums.total();
    }
  }

  // As many errors at once as sums fit the registers beside their operands, and enough that none waits for another.
  static constexpr size_t kErrors = V::kLanes >= 16 ? 8 : 4;

  // kVectors vectors of a tile's columns, from its column `lane` on, of the tile that begins at `column`.
  template <size_t kVectors>
  static SUTRA_ALWAYS_INLINE void quadratic_tile(const float* const (&errors)[kErrors], const float* tile,
                                                 size_t column, size_t lane, float (&partial)[kErrors][kPartialSums]) {
    V sums[kErrors][kVectors];
    SUTRA_UNROLL
    for (size_t e = 0; e < kErrors; ++e) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) sums[e][v] = V::zero();
    }
    for (size_t row = 0; row < column + kPartialSums; ++row) {
      V products[kVectors];
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        products[v] = V::load(tile + row * kPartialSums + lane + v * V::kLanes, AllLanes{});
      }
      SUTRA_UNROLL
      for (size_t e = 0; e < kErrors; ++e) {
        const V own = V::splat(errors[e][row]);
        SUTRA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) sums[e][v] = sums[e][v] + own * products[v];
      }
    }
    SUTRA_UNROLL
    for (size_t e = 0; e < kErrors; ++e) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t at = lane + v * V::kLanes;
        const V own = V::load(errors[e] + column + at, AllLanes{});
        (V::load(partial[e] + at, AllLanes{}) + sums[e][v] * own).store(partial[e] + at, AllLanes{});
      }
    }
  }

  static void quadratic_errors(const float* errors, size_t n_errors, size_t n, const float* products, float* squares) {
    constexpr size_t kVectors = V::kLanes >= 16 || V::kLanes == 1 ? 1 : 2;
    for (size_t first = 0; first < n_errors; first += kErrors) {
      const size_t n_own = n_errors - first < kErrors ? n_errors - first : kErrors;
      const float* own[kErrors];  // beyond the last the last one again
      float partial[kErrors][kPartialSums];
      for (size_t e = 0; e < kErrors; ++e) {
        own[e] = errors + (first + (e < n_own ? e : n_own - 1)) * n;
        for (size_t lane = 0; lane < kPartialSums; ++lane) partial[e][lane] = 0.0f;
      }
      const float* tile = products;
      for (size_t column = 0; column < n; column += kPartialSums) {
        for (size_t lane = 0; lane < kPartialSums; lane += kVectors * V::kLanes) {
          quadratic_tile<kVectors>(own, tile, column, lane, partial);
        }
        tile += (column + kPartialSums) * kPartialSums;
      }
      for (size_t e = 0; e < n_own; ++e) {
        PartialSums<V> sums;
        SUTRA_UNROLL
        for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
          sums.part[b] = V::load(partial[e] + b * V::kLanes, AllLanes{});
        }
        squares[first + e] = sums.total();
      }
    }
  }

  template <size_t kVectors, class Lanes>
  static SUTRA_ALWAYS_INLINE void sum_channels(const float* x, size_t n_tokens, size_t stride, size_t channel,
                                               Lanes lanes, const ChannelSums& out) {
    V sum[kVectors], magnitude[kVectors], square[kVectors];
    SUTRA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) sum[v] = magnitude[v] = square[v] = V::zero();
    for (size_t t = 0; t < n_tokens; ++t) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        const V own = V::load(x + t * stride + channel + v * V::kLanes, lanes);
        sum[v] = sum[v] + own;
        magnitude[v] = magnitude[v] + V::abs(own);
        square[v] = square[v] + own * own;
      }
    }
    SUTRA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t at = channel + v * V::kLanes;
      sum[v].store(out.sum + at, lanes);
      magnitude[v].store(out.magnitude + at, lanes);
      square[v].store(out.square + at, lanes);
    }
  }

  static void channel_sums(const float* x, size_t n_tokens, size_t stride, size_t n, const ChannelSums& out) {
    constexpr size_t kPair = 2 * V::kLanes;
    size_t channel = 0;
    for (; n - channel >= kPair; channel += kPair) sum_channels<2>(x, n_tokens, stride, channel, AllLanes{}, out);
    for_lanes<V>(channel, n, [&](size_t at, auto lanes) { sum_channels<1>(x, n_tokens, stride, at, lanes, out); });
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

  // kColumns columns, kVectors vectors of their rows: what the columns before them have left over, all at once and in
  // order, then these columns among themselves.
  template <size_t kColumns, size_t kVectors>
  static SUTRA_ALWAYS_INLINE void compensated_tile(const CompensatedColumns& columns, size_t column, size_t lane,
                                                   float* weights, float* rounded) {
    V own[kColumns][kVectors];
    SUTRA_UNROLL
    for (size_t j = 0; j < kColumns; ++j) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        own[j][v] = V::load(weights + (column + j) * kCompensatedRows + lane + v * V::kLanes, AllLanes{});
      }
    }
    for (size_t i = 0; i < column; ++i) {
      const float* const factors = columns.factors + i * columns.n + column;
      V errors[kVectors];
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        errors[v] = V::load(weights + i * kCompensatedRows + lane + v * V::kLanes, AllLanes{});
      }
      SUTRA_UNROLL
      for (size_t j = 0; j < kColumns; ++j) {
        const V factor = V::splat(factors[j]);
        SUTRA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) own[j][v] = own[j][v] - errors[v] * factor;
      }
    }
    const size_t group = column / columns.group_size * kCompensatedRows + lane;
    V scale[kVectors], zero[kVectors], low[kVectors], high[kVectors];
    SUTRA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) {
      scale[v] = V::load(columns.scales + group + v * V::kLanes, AllLanes{});
      zero[v] = V::load(columns.zeros + group + v * V::kLanes, AllLanes{});
      low[v] = V::splat(columns.lowest) - zero[v];
      high[v] = V::splat(columns.levels) - zero[v];
    }
    SUTRA_UNROLL
    for (size_t i = 0; i < kColumns; ++i) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t at = (column + i) * kCompensatedRows + lane + v * V::kLanes;
        const V whole = (own[i][v] / scale[v] + V::constant(kRound)) - V::constant(kRound);
        const V steps = V::min(high[v], V::max(low[v], whole));
        (steps + zero[v]).store(rounded + at, AllLanes{});
        own[i][v] = own[i][v] - steps * scale[v];
        own[i][v].store(weights + at, AllLanes{});
      }
      SUTRA_UNROLL
      for (size_t j = 0; j < kColumns; ++j) {
        if (j <= i) continue;
        const V factor = V::splat(columns.factors[(column + i) * columns.n + column + j]);
        SUTRA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) own[j][v] = own[j][v] - own[i][v] * factor;
      }
    }
  }

  static void compensated_rounding(const CompensatedColumns& columns, float* weights, float* rounded) {
    // As many as the registers hold; of the shapes that they do, those that were fastest.
    constexpr size_t kColumns = V::kLanes >= 16 ? 16 : V::kLanes == 8 ? 4 : 2;
    constexpr size_t kVectors = V::kLanes >= 16 ? 1 : V::kLanes == 8 ? 2 : 4;
    size_t column = 0;
    for (; columns.n - column >= kColumns; column += kColumns) {
      for (size_t lane = 0; lane < kCompensatedRows; lane += kVectors * V::kLanes) {
        compensated_tile<kColumns, kVectors>(columns, column, lane, weights, rounded);
      }
    }
    for (; column < columns.n; ++column) {
      for (size_t lane = 0; lane < kCompensatedRows; lane += kVectors * V::kLanes) {
        compensated_tile<1, kVectors>(columns, column, lane, weights, rounded);
      }
    }
  }

  // A vector of V's size.
  static constexpr size_t kDoubles = V::kLanes > 2 ? V::kLanes / 2 : 1;
  typedef double Doubles __attribute__((vector_size(kDoubles * sizeof(double))));
  // A tile of what inverse_factor() computes at once.
  static constexpr size_t kTileRows = 4, kTileVectors = 2, kTileColumns = kTileVectors * kDoubles;

  static SUTRA_ALWAYS_INLINE Doubles load_doubles(const double* from) {
    Doubles loaded;
    __builtin_memcpy(&loaded, from, sizeof loaded);
    return loaded;
  }
  static SUTRA_ALWAYS_INLINE void store_doubles(double* to, Doubles v) { __builtin_memcpy(to, &v, sizeof v); }

  // to [r][c] −= Σ a[k][r] · b[k][c] over first ≤ k < last in order, for a tile; rows of all are n apart.
  static SUTRA_ALWAYS_INLINE void subtract_products(const double* a, const double* b, size_t first, size_t last,
                                                    size_t n, double* to) {
    Doubles sums[kTileRows][kTileVectors];
    SUTRA_UNROLL
    for (size_t r = 0; r < kTileRows; ++r) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kTileVectors; ++v) sums[r][v] = load_doubles(to + r * n + v * kDoubles);
    }
    for (size_t k = first; k < last; ++k) {
      Doubles own[kTileVectors];
      SUTRA_UNROLL
      for (size_t v = 0; v < kTileVectors; ++v) own[v] = load_doubles(b + k * n + v * kDoubles);
      SUTRA_UNROLL
      for (size_t r = 0; r < kTileRows; ++r) {
        SUTRA_UNROLL
        for (size_t v = 0; v < kTileVectors; ++v) sums[r][v] = sums[r][v] - a[k * n + r] * own[v];
      }
    }
    SUTRA_UNROLL
    for (size_t r = 0; r < kTileRows; ++r) {
      SUTRA_UNROLL
      for (size_t v = 0; v < kTileVectors; ++v) store_doubles(to + r * n + v * kDoubles, sums[r][v]);
    }
  }

  // to −= factor · from for columns first ≤ c < last, whole vectors.
  static SUTRA_ALWAYS_INLINE void subtract_row(const double* from, double factor, size_t first, size_t last,
                                               double* to) {
    for (size_t c = first / kDoubles * kDoubles; c < last; c += kDoubles) {
      store_doubles(to + c, load_doubles(to + c) - factor * load_doubles(from + c));
    }
  }
  static SUTRA_ALWAYS_INLINE void divide_row(double* row, double by, size_t first, size_t last) {
    for (size_t c = first / kDoubles * kDoubles; c < last; c += kDoubles) {
      store_doubles(row + c, load_doubles(row + c) / by);
    }
  }

  static void inverse_factor(double* h, double* inverse, size_t n) {
    for (size_t first = 0; first < n; first += kTileRows) {
      double* const rows = h + first * n;
      for (size_t c = first / kTileColumns * kTileColumns; c < n; c += kTileColumns) {
        subtract_products(h + first, h + c, 0, first, n, rows + c);
      }
      for (size_t i = 0; i < kTileRows; ++i) {
        double* const row = rows + i * n;
        divide_row(row, __builtin_sqrt(row[first + i]), first + i, n);
        for (size_t r = i + 1; r < kTileRows; ++r) subtract_row(row, row[first + r], first + r, n, rows + r * n);
      }
    }
    for (size_t first = 0; first < n; first += kTileRows) {
      double* const rows = inverse + first * n;
      // Above the diagonal the inverse is 0.
      for (size_t c = 0; c < first; c += kTileColumns) subtract_products(h + first, inverse + c, c, first, n, rows + c);
      for (size_t i = 0; i < kTileRows; ++i) {
        double* const row = rows + i * n;
        for (size_t k = 0; k < i; ++k)
          subtract_row(rows + k * n, h[(first + k) * n + first + i], 0, first + k + 1, row);
        row[first + i] = 1;
        divide_row(row, h[(first + i) * n + first + i], 0, first + i + 1);
      }
    }
  }
};

template <class V>
constexpr RoundingKernels rounding_kernels() {
  using Body = RoundingBody<V>;
  return {Body::group_ranges, Body::rounding_error,       Body::moment_error,
          Body::range_errors, Body::quadratic_errors,     Body::channel_sums,
          Body::add_products, Body::compensated_rounding, Body::inverse_factor};
}

}  // namespace
}  // namespace sutra::kernels
