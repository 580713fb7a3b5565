// The loops around a vector variant's inner product, the same for every instruction set. Included by variant files
// only; Inner is a type of the file's unnamed namespace, which keeps these templates private to that file.
//
//   template <Precision P, size_t kTokens> static void Inner::tile(const TileArgs& args, float* out);
//
// computes kTokens × 16 results (kTokens in 1, 2, 4) of one row tile: out[16 t + r].
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/gemm_q4/gemm_q4.h"

namespace sutra::kernels {

struct TileArgs {
  const std::byte* tile;  // first byte of the row tile
  size_t n_cols;
  size_t group_size;
  const Q4Activations* x;
  size_t token;  // the first of kTokens
};

// Tokens that share one unpacked weight vector.
inline constexpr size_t kQ4TokenTile = 4;

template <class Inner, Precision P, size_t kTokens>
void multiply_tile(const TileArgs& args, size_t n_rows, float* y, size_t y_stride) {
  alignas(64) float out[kTokens * kQ4TileRows];
  Inner::template tile<P, kTokens>(args, out);
  for (size_t t = 0; t < kTokens; ++t) {
    std::memcpy(y + (args.token + t) * y_stride, out + t * kQ4TileRows, n_rows * sizeof(float));
  }
}

// Row tiles outside, tokens inside: a tile's weights stay in the first-level cache for all tokens.
template <class Inner, Precision P>
void multiply_rows(const Q4View& w, const Q4Activations& x, size_t first_row, size_t last_row, float* y,
                   size_t y_stride) {
  const size_t tile_bytes = w.tile_bytes();
  for (size_t row = first_row; row < last_row; row += kQ4TileRows) {
    TileArgs args{w.data + row / kQ4TileRows * tile_bytes, w.n_cols, w.group_size, &x, 0};
    const size_t n_rows = std::min(kQ4TileRows, last_row - row);
    for (; args.token + kQ4TokenTile <= x.n_tokens; args.token += kQ4TokenTile) {
      multiply_tile<Inner, P, kQ4TokenTile>(args, n_rows, y + row, y_stride);
    }
    if (args.token + 2 <= x.n_tokens) {
      multiply_tile<Inner, P, 2>(args, n_rows, y + row, y_stride);
      args.token += 2;
    }
    if (args.token < x.n_tokens) multiply_tile<Inner, P, 1>(args, n_rows, y + row, y_stride);
  }
}

template <class Inner>
void multiply(const Q4View& w, const Q4Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.precision == Precision::kA15) {
    multiply_rows<Inner, Precision::kA15>(w, x, first_row, last_row, y, y_stride);
  } else {
    multiply_rows<Inner, Precision::kA8>(w, x, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels
