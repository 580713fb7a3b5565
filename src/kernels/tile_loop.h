// The loops around the inner product of packed integer weights (gemm_q4, gemm_q8), the same for every instruction set.
// Included by variant files only; Inner is a type of the file's unnamed namespace, which keeps these templates private
// to that file. View is Q4View or Q8View: tiles of 16 rows, in each the groups one after the other, in each group blocks
// of 8 columns and a tail.
//
//   template <Precision P, size_t kTokens> static void Inner::group(const GroupArgs<View, kTokens>& args, float* out);
//   template <Precision P> static constexpr size_t Inner::kTokenTile;    tokens that share one unpacked weight vector
//
// adds one group's part of kTokens × 16 results (kTokens 1, 2, 4 or the tile) of one row tile: out[16 t + r] += ….
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/activations/activations.h"

namespace sutra::kernels {

// The tokens of one tile; addresses are worked out once, not in every group.
template <size_t kTokens>
struct TokenViews {
  const int8_t* bytes[kTokens];
  const int16_t* pairs[kTokens];
  const int32_t* sums[kTokens];
  const float* scales[kTokens];

  TokenViews(const Activations& x, size_t token) {
    for (size_t t = 0; t < kTokens; ++t) {
      bytes[t] = x.bytes(token + t);
      pairs[t] = x.pairs(token + t);
      sums[t] = x.sums(token + t);
      scales[t] = x.scales(token + t);
    }
  }
};

template <class View, size_t kTokens>
struct GroupArgs {
  const std::byte* blocks;  // the group's first block; its tail follows the last one
  size_t n_blocks;
  size_t first;  // its first column
  size_t group;
  const TokenViews<kTokens>& x;

  [[nodiscard]] const std::byte* tail() const { return blocks + n_blocks * View::kBlockBytes; }
};

// Row tiles that a single token walks through at a time, group by group in turn. Each belongs to a quarter of the
// rows of its own: four long streams to the prefetcher, and a core reads several streams from memory faster than one,
// the longer the faster (bench/SPEED.md).
inline constexpr size_t kStreams = 4;

// kTiles row tiles, `row_step` rows apart, from `row` on, for kTokens tokens from `token` on.
template <class Inner, Precision P, size_t kTokens, size_t kTiles, class View>
void multiply_tiles(const View& w, const TokenViews<kTokens>& x, size_t token, size_t row, size_t row_step,
                    size_t last_row, float* y, size_t y_stride) {
  alignas(64) float out[kTiles][kTokens * View::kTileRows] = {};
  const size_t step_bytes = row_step / View::kTileRows * w.tile_bytes();
  const std::byte* at = w.data + row / View::kTileRows * w.tile_bytes();
  size_t group = 0;
  for (size_t first = 0; first < w.n_cols; first += w.group_size, ++group) {
    const size_t n_blocks = div_up(std::min(w.group_size, w.n_cols - first), View::kBlockColumns);
    for (size_t tile = 0; tile < kTiles; ++tile) {
      Inner::template group<P, kTokens>(GroupArgs<View, kTokens>{at + tile * step_bytes, n_blocks, first, group, x},
                                        out[tile]);
    }
    at += n_blocks * View::kBlockBytes + View::kTailBytes;
  }
  for (size_t tile = 0; tile < kTiles; ++tile) {
    const size_t start = row + tile * row_step;
    const size_t n_rows = std::min(View::kTileRows, last_row - start);
    for (size_t t = 0; t < kTokens; ++t) {
      std::memcpy(y + (token + t) * y_stride + start, out[tile] + t * View::kTileRows, n_rows * sizeof(float));
    }
  }
}

template <class Inner, Precision P, size_t kTokens, class View>
void multiply_tile(const View& w, const Activations& x, size_t token, size_t row, size_t last_row, float* y,
                   size_t y_stride) {
  multiply_tiles<Inner, P, kTokens, 1>(w, TokenViews<kTokens>(x, token), token, row, 0, last_row, y, y_stride);
}

template <class Inner, Precision P, class View>
void multiply_rows(const View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.n_tokens == 1) {
    const TokenViews<1> token(x, 0);
    const size_t stream_rows = (last_row - first_row) / (kStreams * View::kTileRows) * View::kTileRows;
    for (size_t row = first_row; row < first_row + stream_rows; row += View::kTileRows) {
      multiply_tiles<Inner, P, 1, kStreams>(w, token, 0, row, stream_rows, last_row, y, y_stride);
    }
    for (size_t row = first_row + kStreams * stream_rows; row < last_row; row += View::kTileRows) {
      multiply_tiles<Inner, P, 1, 1>(w, token, 0, row, 0, last_row, y, y_stride);
    }
    return;
  }
  // Row tiles outside, tokens inside: a tile's weights stay in the first-level cache for all tokens.
  for (size_t row = first_row; row < last_row; row += View::kTileRows) {
    constexpr size_t kTile = Inner::template kTokenTile<P>;
    size_t token = 0;
    for (; token + kTile <= x.n_tokens; token += kTile) {
      multiply_tile<Inner, P, kTile>(w, x, token, row, last_row, y, y_stride);
    }
    if (kTile > 4 && token + 4 <= x.n_tokens) {
      multiply_tile<Inner, P, 4>(w, x, token, row, last_row, y, y_stride);
      token += 4;
    }
    if (token + 2 <= x.n_tokens) {
      multiply_tile<Inner, P, 2>(w, x, token, row, last_row, y, y_stride);
      token += 2;
    }
    if (token < x.n_tokens) multiply_tile<Inner, P, 1>(w, x, token, row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels
