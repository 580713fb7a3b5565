// Relaxed SIMD: one dot product of four signed and four unsigned bytes a lane.
//
// i32x4.relaxed_dot_i8x16_i7x16_add is exact on every machine only while its second operand is in 0…127: here those are
// the activations' planes of 7 bits (A14), and the weights are the signed bytes. Pair sums stay in ±32258.
#include <wasm_simd128.h>

#include "kernels/gemm_q8/variants.h"
#include "kernels/gemm_q8/wasm_common.h"
#include "kernels/simd/keep_order_wasm.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::relaxed {
namespace {

v128_t dot(v128_t weights, const int8_t* x, v128_t sum) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, wasm_v128_load32_splat(x), sum);
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 6;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  [[gnu::noinline]] static void group(const GroupArgs<Q8View, kTokens>& args, float* out) {
    // One token: eight sums, four row vectors in two planes. Several: twelve, one row vector (gemm_q4/wasm_relaxed.cpp).
    constexpr size_t kVectors = kTokens == 1 ? 4 : 1;
    for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
      v128_t high[kTokens][kVectors] = {};
      v128_t low[kTokens][kVectors] = {};
      const int8_t* x[kTokens];
      for (size_t t = 0; t < kTokens; ++t) x[t] = args.x.bytes[t] + args.first * 2;
      const std::byte* const end = args.tail;
      for (const std::byte* block = args.blocks; block < end; block += Q8View::kBlockBytes) {
        for (size_t half = 0; half < 2; ++half) {
          for (size_t v = 0; v < kVectors; ++v) {
            const v128_t weights = wasm_v128_load(block + half * 64 + (v0 + v) * 16);
            for (size_t t = 0; t < kTokens; ++t) {
              high[t][v] = dot(weights, x[t] + half * 4, high[t][v]);
              keep_order(high[t][v]);
              low[t][v] = dot(weights, x[t] + 8 + half * 4, low[t][v]);
              keep_order(low[t][v]);
            }
          }
        }
        for (size_t t = 0; t < kTokens; ++t) x[t] += 16;
      }
      for (size_t v = 0; v < kVectors; ++v) {
        const v128_t offsets = wasm_v128_load(end + Q8View::kTileRows * sizeof(float) + (v0 + v) * 16);
        for (size_t t = 0; t < kTokens; ++t) {
          const v128_t total = wasm_i32x4_add(wasm_i32x4_shl(high[t][v], 7), low[t][v]);
          add_q8_part(wasm_i32x4_sub(total, offsets), end, v0 + v, args.x.scales[t] + args.group,
                      out + t * Q8View::kTileRows);
        }
      }
    }
  }
};

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply_rows<Inner, Precision::kA14>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::relaxed
