// Plain SIMD128: products of 16-bit pairs.
//
// A 16-bit lane of packed weights holds the nibbles of columns k, k + 4, k + 1, k + 5 (or k + 2, …). One mask leaves
// the pair (k, k + 2) of a row as two 16-bit numbers without widening; the mask one nibble up leaves (k + 4, k + 6)
// times 16, which gets an accumulator of its own that is shifted right once, at the end of the group: exact, because
// every term is a multiple of 16 (and at most 16 · 15 · 16256 · 64 < 2^31 in sum).
#include <wasm_simd128.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/gemm_q4/wasm_common.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::simd128 {
namespace {

constexpr uint32_t kMask = 0x000f000f;
constexpr uint32_t kMask16 = 0x00f000f0;

v128_t dot(const int16_t* x, v128_t weights, v128_t sum) {
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_v128_load32_splat(x), weights));
}

// Σ q·xq of kVectors × 4 rows over the blocks from `block` to `end`, for kTokens tokens: sums[16 t + 4 v + row].
template <size_t kTokens, size_t kVectors>
void dot_blocks(const std::byte* block, const std::byte* end, const int16_t* const (&pairs)[kTokens], size_t offset,
                int32_t* sums) {
  const v128_t mask = load_splat(kMask);
  const v128_t mask_16 = load_splat(kMask16);
  const int16_t* x[kTokens];
  for (size_t t = 0; t < kTokens; ++t) x[t] = pairs[t] + offset;
  v128_t sum[kTokens][kVectors] = {};
  v128_t sum_16[kTokens][kVectors] = {};
  for (; block < end; block += kQ4BlockBytes) {
    for (size_t v = 0; v < kVectors; ++v) {
      const v128_t packed = wasm_v128_load(block + v * 16);
      const v128_t upper = wasm_u16x8_shr(packed, 8);
      const v128_t w0 = wasm_v128_and(packed, mask);
      const v128_t w1 = wasm_v128_and(packed, mask_16);
      const v128_t w2 = wasm_v128_and(upper, mask);
      const v128_t w3 = wasm_v128_and(upper, mask_16);
      for (size_t t = 0; t < kTokens; ++t) {
        sum[t][v] = dot(x[t], w0, sum[t][v]);
        sum_16[t][v] = dot(x[t] + 2, w1, sum_16[t][v]);
        sum[t][v] = dot(x[t] + 4, w2, sum[t][v]);
        sum_16[t][v] = dot(x[t] + 6, w3, sum_16[t][v]);
      }
    }
    for (size_t t = 0; t < kTokens; ++t) x[t] += kQ4BlockColumns;
  }
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      wasm_v128_store(sums + t * kQ4TileRows + v * 4, wasm_i32x4_add(sum[t][v], wasm_i32x4_shr(sum_16[t][v], 4)));
    }
  }
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  // Both precisions read the same 16-bit pairs.
  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kVectors = 4 / kTokens;
    alignas(16) int32_t sums[kTokens * kQ4TileRows];
    for (size_t v = 0; v < 4; v += kVectors) {
      dot_blocks<kTokens, kVectors>(args.blocks + v * 16, args.tail, args.x.pairs, args.first, sums + v * 4);
    }
    add_group(args, sums, out);
  }
};

}  // namespace

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.precision == Precision::kA15) {
    multiply_rows<Inner, Precision::kA15>(w, x, first_row, last_row, y, y_stride);
  } else {
    multiply_rows<Inner, Precision::kA8>(w, x, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels::simd128
