// The loops around the inner product of packed integer weights (gemm_q4, gemm_q8), the same for every instruction set.
// Included by variant files only; Inner is a type of the file's unnamed namespace, which keeps these templates private
// to that file. View is Q4View or Q8View: tiles of 16 rows, in each the groups one after the other, in each group blocks
// of 8 columns and a tail.
//
//   static const std::byte* Inner::unpack(const std::byte* blocks, size_t n_blocks, std::byte* out);
//
// gives the blocks of a group in the form that group() takes them in for several tokens: in `out` (16 rows × 128 bytes)
// or, where nothing is gained, as they are stored.
//
//   template <Precision P, size_t kTokens> static void Inner::group(const GroupArgs<View, kTokens>& args, float* out);
//   template <Precision P> static constexpr size_t Inner::kTokenTile;    tokens that share one weight vector
//
// adds one group's part of kTokens × 16 results (kTokens: 1 or the tile) of one row tile: out[16 t + r] += ….
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/activations/activations.h"

namespace sutra::kernels {

// The tokens of one tile; addresses are worked out once, not in every group. What a tile has beyond the last token is
// that token again.
template <size_t kTokens>
struct TokenViews {
  const int8_t* bytes[kTokens];
  const int16_t* pairs[kTokens];
  const int32_t* sums[kTokens];
  const float* scales[kTokens];

  TokenViews() = default;
  TokenViews(const Activations& x, size_t token) {
    for (size_t t = 0; t < kTokens; ++t) {
      const size_t own = std::min(token + t, x.n_tokens - 1);
      bytes[t] = x.bytes(own);
      pairs[t] = x.pairs(own);
      sums[t] = x.sums(own);
      scales[t] = x.scales(own);
    }
  }
};

template <class View, size_t kTokens>
struct GroupArgs {
  const View& w;
  const std::byte* blocks;  // one token: as stored; several: as Inner::unpack has left them
  size_t n_blocks;
  const std::byte* tail;
  size_t first;  // the group's first column
  size_t group;
  const TokenViews<kTokens>& x;
};

inline constexpr size_t kMaxGroupSize = 128;

// Row tiles that a single token walks through at a time, group by group in turn. Each belongs to a quarter of the
// rows of its own: four long streams to the prefetcher, and a core reads several streams from memory faster than one,
// the longer the faster (bench/SPEED.md).
inline constexpr size_t kStreams = 4;

// Results of a row tile, [n_tokens][16], to where they belong.
template <class View>
void store_tile(const float* out, size_t n_tokens, size_t token, size_t row, size_t last_row, float* y,
                size_t y_stride) {
  const size_t n_rows = std::min(View::kTileRows, last_row - row);
  for (size_t t = 0; t < n_tokens; ++t) {
    std::memcpy(y + (token + t) * y_stride + row, out + t * View::kTileRows, n_rows * sizeof(float));
  }
}

// One token, kTiles row tiles, `row_step` rows apart, from `row` on.
template <class Inner, Precision P, size_t kTiles, class View>
void multiply_token(const View& w, const TokenViews<1>& x, size_t row, size_t row_step, size_t last_row, float* y) {
  alignas(64) float out[kTiles][View::kTileRows] = {};
  const size_t step_bytes = row_step / View::kTileRows * w.tile_bytes();
  const std::byte* at = w.data + row / View::kTileRows * w.tile_bytes();
  size_t group = 0;
  for (size_t first = 0; first < w.n_cols; first += w.group_size, ++group) {
    const size_t n_blocks = div_up(std::min(w.group_size, w.n_cols - first), View::kBlockColumns);
    const std::byte* tail = at + n_blocks * View::kBlockBytes;
    for (size_t tile = 0; tile < kTiles; ++tile) {
      const size_t step = tile * step_bytes;
      Inner::template group<P, 1>(GroupArgs<View, 1>{w, at + step, n_blocks, tail + step, first, group, x}, out[tile]);
    }
    at = tail + w.tail_bytes();
  }
  for (size_t tile = 0; tile < kTiles; ++tile) {
    store_tile<View>(out[tile], 1, 0, row + tile * row_step, last_row, y, 0);
  }
}

// wasm has no such instruction.
inline void prefetch([[maybe_unused]] const std::byte* at) {
#if !defined(__wasm__)
  __builtin_prefetch(at);
#endif
}

// Several tokens, at most kTokenBlock from `token` on. Row tiles outside, then groups: each group is unpacked once for
// all tokens and stays in the first-level cache with the results.
inline constexpr size_t kTokenBlock = 64;

template <class Inner, Precision P, class View>
void multiply_token_block(const View& w, const Activations& x, size_t token, size_t first_row, size_t last_row,
                          float* y, size_t y_stride) {
  constexpr size_t kTile = Inner::template kTokenTile<P>;
  const size_t n_tokens = std::min(kTokenBlock, x.n_tokens - token);
  const size_t n_tiles = div_up(n_tokens, kTile);
  TokenViews<kTile> views[div_up(kTokenBlock, kTile)];
  for (size_t i = 0; i < n_tiles; ++i) views[i] = TokenViews<kTile>(x, token + i * kTile);
  constexpr size_t kTileResults = kTile * View::kTileRows;
  alignas(64) float out[div_up(kTokenBlock, kTile) * kTileResults];
  alignas(64) std::byte unpacked[View::kTileRows * kMaxGroupSize];
  for (size_t row = first_row; row < last_row; row += View::kTileRows) {
    std::fill_n(out, n_tiles * kTileResults, 0.0f);
    const std::byte* at = w.data + row / View::kTileRows * w.tile_bytes();
    size_t group = 0;
    for (size_t first = 0; first < w.n_cols; first += w.group_size, ++group) {
      const size_t n_blocks = div_up(std::min(w.group_size, w.n_cols - first), View::kBlockColumns);
      const std::byte* tail = at + n_blocks * View::kBlockBytes;
      const std::byte* blocks = Inner::unpack(at, n_blocks, unpacked);
      // What follows comes from the matrix's memory while this group is multiplied.
      const size_t ahead = div_up(static_cast<size_t>(tail - at), n_tiles * 64);
      const std::byte* next = tail + w.tail_bytes();
      for (size_t i = 0; i < n_tiles; ++i) {
        for (size_t line = 0; line < ahead; ++line, next += 64) prefetch(next);
        Inner::template group<P, kTile>(GroupArgs<View, kTile>{w, blocks, n_blocks, tail, first, group, views[i]},
                                        out + i * kTileResults);
      }
      at = tail + w.tail_bytes();
    }
    store_tile<View>(out, n_tokens, token, row, last_row, y, y_stride);
  }
}

template <class Inner, Precision P, class View>
void multiply_rows(const View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.n_tokens == 1) {
    const TokenViews<1> token(x, 0);
    const size_t stream_rows = (last_row - first_row) / (kStreams * View::kTileRows) * View::kTileRows;
    for (size_t row = first_row; row < first_row + stream_rows; row += View::kTileRows) {
      multiply_token<Inner, P, kStreams>(w, token, row, stream_rows, last_row, y);
    }
    for (size_t row = first_row + kStreams * stream_rows; row < last_row; row += View::kTileRows) {
      multiply_token<Inner, P, 1>(w, token, row, 0, last_row, y);
    }
    return;
  }
  for (size_t token = 0; token < x.n_tokens; token += kTokenBlock) {
    multiply_token_block<Inner, P>(w, x, token, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels
