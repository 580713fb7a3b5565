// Relaxed SIMD: one dot product of four signed and four unsigned bytes a lane.
//
// i32x4.relaxed_dot_i8x16_i7x16_add is exact on every machine only while its second operand is in 0…127, so the
// weights (0…15) come second and the activations first. Pair sums stay in ±3840: no 16-bit saturation either.
//
// The inner loop fits the 15 registers V8 has on x86-64: 8 or 10 sums, the mask, up to 4 unpacked vectors, activations.
// One sum that does not fit is written and read again in every round, which costs a third of the speed.
#include <wasm_simd128.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/gemm_q4/wasm_common.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::relaxed {
namespace {

constexpr uint32_t kMask = 0x0f0f0f0f;

v128_t dot(const int8_t* x, v128_t weights, v128_t sum) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load32_splat(x), weights, sum);
}

// Σ q·xq of kVectors × 4 rows over the blocks from `block` to `end`, for kTokens tokens: sums[16 t + 4 v + row].
template <Precision P, size_t kTokens, size_t kVectors>
void dot_blocks(const std::byte* block, const std::byte* end, const int8_t* const (&bytes)[kTokens], size_t offset,
                int32_t* sums) {
  constexpr bool kA15 = P == Precision::kA15;
  // A15 adds up high and low bytes apart. A8 has the halves of a block apart where registers are left, which shortens
  // the chains of dependent products.
  constexpr size_t kSums = kA15 || kTokens * kVectors <= 4 ? 2 : 1;
  const v128_t mask = load_splat(kMask);
  const int8_t* x[kTokens];
  for (size_t t = 0; t < kTokens; ++t) x[t] = bytes[t] + offset;
  v128_t sum[kTokens][kVectors][kSums] = {};
  const auto add_dots = [&](size_t t, size_t v, v128_t even, v128_t odd) {
    v128_t& last = sum[t][v][kSums - 1];
    sum[t][v][0] = dot(x[t], even, sum[t][v][0]);
    if constexpr (kA15) {
      last = dot(x[t] + 8, even, last);
      sum[t][v][0] = dot(x[t] + 4, odd, sum[t][v][0]);
      last = dot(x[t] + 12, odd, last);
    } else {
      last = dot(x[t] + 4, odd, last);
    }
  };
  for (; block < end; block += kQ4BlockBytes) {
    v128_t even[kVectors];
    v128_t odd[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const v128_t packed = wasm_v128_load(block + v * 16);
      even[v] = wasm_v128_and(packed, mask);
      odd[v] = wasm_v128_and(wasm_u16x8_shr(packed, 4), mask);
      // One token keeps its activations in registers, several keep the unpacked weights there.
      if constexpr (kTokens == 1) add_dots(0, v, even[v], odd[v]);
    }
    for (size_t t = 0; t < kTokens; ++t) {
      if constexpr (kTokens > 1) {
        for (size_t v = 0; v < kVectors; ++v) add_dots(t, v, even[v], odd[v]);
      }
      x[t] += kA15 ? 16 : 8;
    }
  }
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      v128_t total = sum[t][v][0];
      if constexpr (kA15) total = wasm_i32x4_shl(total, 7);
      if constexpr (kSums == 2) total = wasm_i32x4_add(total, sum[t][v][1]);
      wasm_v128_store(sums + t * kQ4TileRows + v * 4, total);
    }
  }
}

struct Inner {
  // A sum waits five cycles for the one before it, and two can be had in each: five tokens with two sums each keep the
  // unit busy, four do not. A8 has no registers left for that.
  template <Precision P>
  static constexpr size_t kTokenTile = P == Precision::kA15 ? 5 : 4;

  template <Precision P, size_t kTokens>
  [[gnu::noinline]] static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kPlanes = P == Precision::kA15 ? 2 : 1;
    constexpr size_t kVectors = kTokens >= 4 ? 2 / kPlanes : 4 / kTokens;
    alignas(16) int32_t sums[kTokens * kQ4TileRows];
    for (size_t v = 0; v < 4; v += kVectors) {
      dot_blocks<P, kTokens, kVectors>(args.blocks + v * 16, args.tail(), args.x.bytes, args.first * kPlanes,
                                       sums + v * 4);
    }
    add_group(args.tail(), sums, args.x.sums, args.x.scales, args.group, out);
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

}  // namespace sutra::kernels::relaxed
