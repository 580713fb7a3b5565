// Plain SIMD128: weights widened to 16 bits, products of 16-bit pairs; the two pairs of a row are added at the end.
#include <wasm_simd128.h>

#include "kernels/gemm_q8/variants.h"
#include "kernels/gemm_q8/wasm_common.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::simd128 {
namespace {

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q8View, kTokens>& args, float* out) {
    // Eight sums: a row vector needs two, each with two partial sums of two rows.
    constexpr size_t kVectors = 4 / kTokens;
    for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
      v128_t first_rows[kTokens][kVectors] = {};
      v128_t last_rows[kTokens][kVectors] = {};
      const int16_t* x[kTokens];
      for (size_t t = 0; t < kTokens; ++t) x[t] = args.x.pairs[t] + args.first;
      const std::byte* const end = args.tail;
      for (const std::byte* half = args.blocks; half < end; half += Q8View::kBlockBytes / 2) {
        for (size_t v = 0; v < kVectors; ++v) {
          const v128_t weights = wasm_v128_load(half + (v0 + v) * 16);
          const v128_t first = wasm_i16x8_extend_low_i8x16(weights);
          const v128_t last = wasm_i16x8_extend_high_i8x16(weights);
          for (size_t t = 0; t < kTokens; ++t) {
            const v128_t columns = wasm_v128_load64_splat(x[t]);
            first_rows[t][v] = wasm_i32x4_add(first_rows[t][v], wasm_i32x4_dot_i16x8(first, columns));
            last_rows[t][v] = wasm_i32x4_add(last_rows[t][v], wasm_i32x4_dot_i16x8(last, columns));
          }
        }
        for (size_t t = 0; t < kTokens; ++t) x[t] += 4;
      }
      for (size_t v = 0; v < kVectors; ++v) {
        for (size_t t = 0; t < kTokens; ++t) {
          const v128_t total = wasm_i32x4_add(wasm_i32x4_shuffle(first_rows[t][v], last_rows[t][v], 0, 2, 4, 6),
                                              wasm_i32x4_shuffle(first_rows[t][v], last_rows[t][v], 1, 3, 5, 7));
          add_q8_part(total, end, v0 + v, args.x.scales[t] + args.group, out + t * Q8View::kTileRows);
        }
      }
    }
  }
};

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply_rows<Inner, Precision::kA14>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::simd128
