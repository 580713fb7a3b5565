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

// Up to fifteen elements, filled up with zeros.
template <class T>
SUTRA_ALWAYS_INLINE void pad(const T* from, size_t n, T* to) {
  for (size_t i = 0; i < kPartialSums; ++i) to[i] = i < n ? from[i] : T{0};
}

// One token: the weights are read once, so they are widened on the way.
template <class V, class Weights>
struct GemmFOneToken {
  using Element = typename Weights::Element;
  static constexpr size_t kVectors = PartialSums<V>::kVectors;
  static constexpr size_t kTileRows = 8 / kVectors;  // eight sums leave room for operands in sixteen registers

  template <size_t kRows>
  static SUTRA_ALWAYS_INLINE void step(const Element* const* w, const float* x, size_t k,
                                       PartialSums<V> (&sums)[kRows]) {
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) {
      const V activation = V::load(x + k + b * V::kLanes, AllLanes{});
      SUTRA_UNROLL
      for (size_t i = 0; i < kRows; ++i) {
        sums[i].part[b] = sums[i].part[b] + Weights::load(w[i] + k + b * V::kLanes) * activation;
      }
    }
  }

  template <size_t kRows>
  static void tile(const GemmFArgs& args, size_t row) {
    const size_t n_cols = args.w.n_cols;
    const Element* w[kRows];
    PartialSums<V> sums[kRows];
    SUTRA_UNROLL
    for (size_t i = 0; i < kRows; ++i) {
      w[i] = static_cast<const Element*>(args.w.data) + (row + i) * n_cols;
      sums[i] = PartialSums<V>::zero();
    }
    size_t k = 0;
    for (; n_cols - k >= kPartialSums; k += kPartialSums) step(w, args.x, k, sums);
    if (k < n_cols) {
      Element w_padded[kRows][kPartialSums];
      float x_padded[kPartialSums];
      for (size_t i = 0; i < kRows; ++i) {
        pad(w[i] + k, n_cols - k, w_padded[i]);
        w[i] = w_padded[i];
      }
      pad(args.x + k, n_cols - k, x_padded);
      step(w, x_padded, 0, sums);
    }
    SUTRA_UNROLL
    for (size_t i = 0; i < kRows; ++i) args.y[row + i] = sums[i].total();
  }

  static void run(const GemmFArgs& args) {
    size_t row = args.first_row;
    for (; args.last_row - row >= kTileRows; row += kTileRows) tile<kTileRows>(args, row);
    for (; row < args.last_row; ++row) tile<1>(args, row);
  }
};

// Several tokens: pieces of some rows are widened once for all of them. The partial sums wait in memory, and a tile of
// rows × tokens takes one vector of the sixteen at a time, so that its sums and their operands fit the registers.
// Whatever a tile covers beyond the last row or token is computed from the last one and left.
template <class V, class Weights>
struct GemmFTokens {
  using Element = typename Weights::Element;
  // Eight sums; sixteen with 512 bits, which come with more registers. Where instructions take operands from memory,
  // more rows than tokens, or GCC spills.
  static constexpr size_t kTileRows = V::kLanes > 4 ? 4 : 2, kTileTokens = V::kLanes == 8 ? 2 : 4;
  // All of a piece stays in the first-level cache.
  static constexpr size_t kRows = 4, kTokens = 32, kCols = 1024;

  struct Piece {
    size_t row, n_rows, token, n_tokens;
    alignas(64) float weights[kRows][kCols];
    alignas(64) float sums[kTokens][kRows][kPartialSums];
  };

  // n: a multiple of kPartialSums
  static SUTRA_ALWAYS_INLINE void tile(const float* const* w, const float* const* x, size_t n, float* sums) {
    for (size_t lane = 0; lane < kPartialSums; lane += V::kLanes) {
      float* const at = sums + lane;
      V sum[kTileTokens][kTileRows];
      SUTRA_UNROLL
      for (size_t j = 0; j < kTileTokens; ++j) {
        SUTRA_UNROLL
        for (size_t i = 0; i < kTileRows; ++i) sum[j][i] = V::load(at + (j * kRows + i) * kPartialSums, AllLanes{});
      }
      for (size_t k = lane; k < n; k += kPartialSums) {
        V weight[kTileRows];
        SUTRA_UNROLL
        for (size_t i = 0; i < kTileRows; ++i) weight[i] = V::load(w[i] + k, AllLanes{});
        SUTRA_UNROLL
        for (size_t j = 0; j < kTileTokens; ++j) {
          const V activation = V::load(x[j] + k, AllLanes{});
          SUTRA_UNROLL
          for (size_t i = 0; i < kTileRows; ++i) sum[j][i] = sum[j][i] + weight[i] * activation;
        }
      }
      SUTRA_UNROLL
      for (size_t j = 0; j < kTileTokens; ++j) {
        SUTRA_UNROLL
        for (size_t i = 0; i < kTileRows; ++i) sum[j][i].store(at + (j * kRows + i) * kPartialSums, AllLanes{});
      }
    }
  }

  // Columns [k, k + n) of the piece's rows as floats; fewer than kPartialSums are filled up with zeros.
  static const float* widened(const GemmFArgs& args, Piece& piece, size_t i, size_t k, size_t n) {
    const size_t row = i < piece.n_rows ? i : piece.n_rows - 1;
    const Element* from = static_cast<const Element*>(args.w.data) + (piece.row + row) * args.w.n_cols + k;
    Element padded[kPartialSums];
    if (n < kPartialSums) {
      pad(from, n, padded);
      from = padded;
      n = kPartialSums;  // the zeros too: what the piece holds there may be NaN, which times zero is not zero
    } else if constexpr (sizeof(Element) == sizeof(float)) {
      return from;
    }
    for (size_t at = 0; at < n; at += V::kLanes) Weights::load(from + at).store(piece.weights[i] + at, AllLanes{});
    return piece.weights[i];
  }

  static void columns(const GemmFArgs& args, Piece& piece, size_t k, size_t n) {
    const size_t n_padded = n < kPartialSums ? kPartialSums : n;
    const float* w[kRows];
    for (size_t i = 0; i < kRows; ++i) w[i] = widened(args, piece, i, k, n);
    for (size_t token = 0; token < piece.n_tokens; token += kTileTokens) {
      const float* x[kTileTokens];
      float x_padded[kTileTokens][kPartialSums];
      for (size_t j = 0; j < kTileTokens; ++j) {
        const size_t own = token + j < piece.n_tokens ? token + j : piece.n_tokens - 1;
        x[j] = args.x + (piece.token + own) * args.w.n_cols + k;
        if (n < kPartialSums) {
          pad(x[j], n, x_padded[j]);
          x[j] = x_padded[j];
        }
      }
      for (size_t i = 0; i < piece.n_rows; i += kTileRows) tile(w + i, x, n_padded, piece.sums[token][i]);
    }
  }

  static void run_piece(const GemmFArgs& args, Piece& piece) {
    for (auto& token : piece.sums) {
      for (auto& row : token) {
        for (float& sum : row) sum = 0.0f;
      }
    }
    const size_t n_cols = args.w.n_cols;
    for (size_t k = 0; k < n_cols;) {
      size_t n = n_cols - k < kCols ? n_cols - k : kCols;
      if (n > kPartialSums) n -= n % kPartialSums;
      columns(args, piece, k, n);
      k += n;
    }
    for (size_t t = 0; t < piece.n_tokens; ++t) {
      for (size_t i = 0; i < piece.n_rows; ++i) {
        PartialSums<V> sums;
        SUTRA_UNROLL
        for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
          sums.part[b] = V::load(piece.sums[t][i] + b * V::kLanes, AllLanes{});
        }
        args.y[(piece.token + t) * args.y_stride + piece.row + i] = sums.total();
      }
    }
  }

  // Rows inside: the activations of a piece's tokens stay in the second-level cache, and weights come from memory once
  // for all of them.
  static void run(const GemmFArgs& args) {
    Piece piece;
    for (piece.token = 0; piece.token < args.n_tokens; piece.token += kTokens) {
      piece.n_tokens = args.n_tokens - piece.token < kTokens ? args.n_tokens - piece.token : kTokens;
      for (piece.row = args.first_row; piece.row < args.last_row; piece.row += kRows) {
        piece.n_rows = args.last_row - piece.row < kRows ? args.last_row - piece.row : kRows;
        run_piece(args, piece);
      }
    }
  }
};

template <class V, template <class> class Weights>
void gemm_f_of(const GemmFArgs& args) {
  if (args.n_tokens == 1) return GemmFOneToken<V, Weights<V>>::run(args);
  GemmFTokens<V, Weights<V>>::run(args);
}

template <class V>
void gemm_f_body(const GemmFArgs& args) {
  switch (args.w.dtype) {
    case Dtype::kF32: return gemm_f_of<V, F32Weights>(args);
    case Dtype::kF16: return gemm_f_of<V, F16Weights>(args);
    case Dtype::kBF16: return gemm_f_of<V, BF16Weights>(args);
    default: return;  // gemm_f() has refused it
  }
}

}  // namespace
}  // namespace sutra::kernels
