// Relaxed SIMD: one dot product of four signed and four unsigned bytes a lane.
//
// i32x4.relaxed_dot_i8x16_i7x16_add is exact on every machine only while its second operand is in 0…127, so the
// weights (0…15) come second and the activations first. Pair sums stay in ±3840: no 16-bit saturation either.
#include <wasm_simd128.h>

#include "kernels/gemm_q4/tile_loop.h"
#include "kernels/gemm_q4/variants.h"
#include "kernels/gemm_q4/wasm_common.h"

namespace sutra::kernels::relaxed {
namespace {

constexpr uint16_t kMask = 0x0f0f;

v128_t dot(const int8_t* x, v128_t weights, v128_t sum) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load32_splat(x), weights, sum);
}

struct Inner {
  template <Precision P, size_t kTokens>
  static void tile(const TileArgs& args, float* out) {
    constexpr bool kA15 = P == Precision::kA15;
    constexpr size_t kPlanes = kA15 ? 2 : 1;
    // Row vectors in one pass: two accumulators each, 8 in all, stay in registers.
    constexpr size_t kVectors = 4 / kTokens;
    const v128_t mask = splat_in_register(kMask);
    const int8_t* bytes[kTokens];
    v128_t y[kTokens][4] = {};
    for (size_t t = 0; t < kTokens; ++t) bytes[t] = args.x->bytes(args.token + t);
    const std::byte* at = args.tile;
    size_t group = 0;
    for (size_t first = 0; first < args.n_cols; first += args.group_size, ++group) {
      const size_t n_blocks = div_up(std::min(args.group_size, args.n_cols - first), kQ4BlockColumns);
      const std::byte* tail = at + n_blocks * kQ4BlockBytes;
      for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
        v128_t sum[kTokens][kVectors] = {};    // A15: of the high bytes
        v128_t sum_2[kTokens][kVectors] = {};  // A15: of the low bytes; A8: of the other half of each block
        const int8_t* x[kTokens];
        for (size_t t = 0; t < kTokens; ++t) x[t] = bytes[t] + first * kPlanes;
        for (const std::byte* block = at + v0 * 16; block < tail; block += kQ4BlockBytes) {
          for (size_t v = 0; v < kVectors; ++v) {
            const v128_t packed = wasm_v128_load(block + v * 16);
            const v128_t even = wasm_v128_and(packed, mask);
            const v128_t odd = wasm_v128_and(wasm_u16x8_shr(packed, 4), mask);
            for (size_t t = 0; t < kTokens; ++t) {
              sum[t][v] = dot(x[t], even, sum[t][v]);
              if constexpr (kA15) {
                sum_2[t][v] = dot(x[t] + 8, even, sum_2[t][v]);
                sum[t][v] = dot(x[t] + 4, odd, sum[t][v]);
                sum_2[t][v] = dot(x[t] + 12, odd, sum_2[t][v]);
              } else {
                sum_2[t][v] = dot(x[t] + 4, odd, sum_2[t][v]);
              }
            }
          }
          for (size_t t = 0; t < kTokens; ++t) x[t] += kQ4BlockColumns * kPlanes;
        }
        for (size_t v = 0; v < kVectors; ++v) {
          const GroupTail group_tail(tail, v0 + v);
          for (size_t t = 0; t < kTokens; ++t) {
            const v128_t upper = kA15 ? wasm_i32x4_shl(sum[t][v], 7) : sum[t][v];
            y[t][v0 + v] = group_tail.add(y[t][v0 + v], wasm_i32x4_add(upper, sum_2[t][v]),
                                          args.x->sums(args.token + t)[group], args.x->scales(args.token + t)[group]);
          }
        }
      }
      at = tail + kQ4GroupTailBytes;
    }
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t v = 0; v < 4; ++v) wasm_v128_store(out + t * kQ4TileRows + v * 4, y[t][v]);
    }
  }
};

}  // namespace

void gemm_q4(const Q4View& w, const Q4Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply<Inner>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::relaxed
