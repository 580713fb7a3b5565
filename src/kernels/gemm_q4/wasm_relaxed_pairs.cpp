// Relaxed SIMD on machines whose dot product of bytes adds pairs in 16 bits (kernels/relaxed_dot): there
// i16x8.relaxed_dot_i8x16_i7x16 is one instruction, half of what a 32-bit sum would cost. Weights are 0…15 and A8's
// activations −127…127, so a pair is within ±3810, and eight of them fit 16 bits. A15 needs two such products where
// 16-bit products need one, so it is left to those.
#include <wasm_simd128.h>

#include <algorithm>

#include "kernels/gemm_q4/variants.h"
#include "kernels/gemm_q4/wasm_common.h"
#include "kernels/simd/keep_order_wasm.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::relaxed_pairs {
namespace {

// A block adds two pairs to each 16-bit sum.
constexpr size_t kBlocksOfASum = 4;
static_assert(kBlocksOfASum * 2 * (2 * 15 * 127) <= INT16_MAX);

v128_t add_dot(v128_t x, v128_t weights, v128_t sum) {
  return wasm_i16x8_add(sum, wasm_i16x8_relaxed_dot_i8x16_i7x16(x, weights));
}

// Σ q·xq of one token over the packed blocks, of all 16 rows.
void dot_token(const std::byte* block, const std::byte* end, const int8_t* x, int32_t* sums) {
  const v128_t mask = load_splat(kLowNibbles);
  v128_t total[4] = {};
  while (block < end) {
    const std::byte* const stop = std::min(block + kBlocksOfASum * kQ4BlockBytes, end);
    v128_t sum[4] = {};
    for (; block < stop; block += kQ4BlockBytes, x += kQ4BlockColumns) {
      const v128_t x_even = wasm_v128_load32_splat(x), x_odd = wasm_v128_load32_splat(x + 4);
      for (size_t v = 0; v < 4; ++v) {
        const v128_t packed = wasm_v128_load(block + v * 16);
        sum[v] = add_dot(x_even, wasm_v128_and(packed, mask), sum[v]);
        sum[v] = add_dot(x_odd, wasm_v128_and(wasm_u16x8_shr(packed, 4), mask), sum[v]);
      }
    }
    for (size_t v = 0; v < 4; ++v) total[v] = wasm_i32x4_add(total[v], wasm_i32x4_extadd_pairwise_i16x8(sum[v]));
  }
  for (size_t v = 0; v < 4; ++v) wasm_v128_store(sums + v * 4, total[v]);
}

constexpr size_t kVectors = 2;

// The same for kTokens tokens, of kVectors × 4 rows, over unpacked blocks: sums[16 t + 4 v + row].
template <size_t kTokens>
void dot_tokens(const std::byte* block, const std::byte* end, const int8_t* const (&bytes)[kTokens], size_t offset,
                int32_t* sums) {
  const int8_t* x[kTokens];
  for (size_t t = 0; t < kTokens; ++t) x[t] = bytes[t] + offset;
  for (bool is_first = true; block < end; is_first = false) {
    const std::byte* const stop = std::min(block + kBlocksOfASum * kUnpackedBlockBytes, end);
    v128_t sum[kTokens][kVectors] = {};
    for (; block < stop; block += kUnpackedBlockBytes) {
      for (size_t half = 0; half < 2; ++half) {
        v128_t weights[kVectors];
        for (size_t v = 0; v < kVectors; ++v) weights[v] = wasm_v128_load(block + half * kQ4BlockBytes + v * 16);
        for (size_t t = 0; t < kTokens; ++t) {
          const v128_t x_four = wasm_v128_load32_splat(x[t] + half * 4);
          for (size_t v = 0; v < kVectors; ++v) {
            sum[t][v] = add_dot(x_four, weights[v], sum[t][v]);
            keep_order(sum[t][v]);
          }
        }
      }
      for (size_t t = 0; t < kTokens; ++t) x[t] += kQ4BlockColumns;
    }
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t v = 0; v < kVectors; ++v) {
        int32_t* const to = sums + t * kQ4TileRows + v * 4;
        const v128_t part = wasm_i32x4_extadd_pairwise_i16x8(sum[t][v]);
        wasm_v128_store(to, is_first ? part : wasm_i32x4_add(wasm_v128_load(to), part));
      }
    }
  }
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t n_blocks, std::byte* out) {
    return unpack_bytes(blocks, n_blocks, out);
  }

  template <Precision P, size_t kTokens>
  [[gnu::noinline]] static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    alignas(16) int32_t sums[kTokens * kQ4TileRows];
    if constexpr (kTokens == 1) {
      dot_token(args.blocks, args.tail, args.x.bytes[0] + args.first, sums);
    } else {
      const std::byte* end = args.blocks + args.n_blocks * kUnpackedBlockBytes;
      for (size_t v = 0; v < 4; v += kVectors) {
        dot_tokens<kTokens>(args.blocks + v * 16, end, args.x.bytes, args.first, sums + v * 4);
      }
    }
    add_group(args, sums, out);
  }
};

}  // namespace

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.precision == Precision::kA15) {
    simd128::gemm_q4(w, x, first_row, last_row, y, y_stride);
  } else {
    multiply_rows<Inner, Precision::kA8>(w, x, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels::relaxed_pairs
