// Relaxed SIMD: one dot product of four signed and four unsigned bytes a lane.
//
// i32x4.relaxed_dot_i8x16_i7x16_add is exact on every machine only while its second operand is in 0…127, so the
// weights (0…15) come second and the activations first. Pair sums stay in ±3840: no 16-bit saturation either.
#include <wasm_simd128.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/gemm_q4/wasm_common.h"
#include "kernels/simd/keep_order_wasm.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::relaxed {
namespace {

v128_t dot(const int8_t* x, v128_t weights, v128_t sum) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load32_splat(x), weights, sum);
}

// Two sums of dot products of row vector v: A15's high and low bytes, A8's even and odd halves of a block, which makes
// the chains of dependent products shorter.
template <Precision P>
v128_t total_of(v128_t first, v128_t second) {
  if constexpr (P == Precision::kA15) first = wasm_i32x4_shl(first, 7);
  return wasm_i32x4_add(first, second);
}

// Σ q·xq of one token over the packed blocks from `block` to `end`, of all 16 rows. Eight sums, the mask, a packed and
// two unpacked vectors and the activations fit the 15 registers that V8 has on x86-64. One sum that does not fit is
// written and read again in every round, which costs a third of the speed.
template <Precision P>
void dot_token(const std::byte* block, const std::byte* end, const int8_t* x, int32_t* sums) {
  const v128_t mask = load_splat(kLowNibbles);
  v128_t first[4] = {};
  v128_t second[4] = {};
  for (; block < end; block += kQ4BlockBytes) {
    for (size_t v = 0; v < 4; ++v) {
      const v128_t packed = wasm_v128_load(block + v * 16);
      const v128_t even = wasm_v128_and(packed, mask);
      const v128_t odd = wasm_v128_and(wasm_u16x8_shr(packed, 4), mask);
      first[v] = dot(x, even, first[v]);
      if constexpr (P == Precision::kA15) {
        second[v] = dot(x + 8, even, second[v]);
        first[v] = dot(x + 4, odd, first[v]);
        second[v] = dot(x + 12, odd, second[v]);
      } else {
        second[v] = dot(x + 4, odd, second[v]);
      }
    }
    x += activation_planes(P) * kQ4BlockColumns;
  }
  for (size_t v = 0; v < 4; ++v) wasm_v128_store(sums + v * 4, total_of<P>(first[v], second[v]));
}

// The same for kTokens tokens, of kVectors × 4 rows, over unpacked blocks: sums[16 t + 4 v + row]. A sum waits five
// cycles for the one before it, and two products can start in each: twelve sums keep the unit busy and, with one or two
// weight vectors and the activations, just fit the registers.
template <Precision P, size_t kTokens, size_t kVectors>
void dot_tokens(const std::byte* block, const std::byte* end, const int8_t* const (&bytes)[kTokens], size_t offset,
                int32_t* sums) {
  constexpr size_t kPlanes = activation_planes(P);
  const int8_t* x[kTokens];
  for (size_t t = 0; t < kTokens; ++t) x[t] = bytes[t] + offset;
  v128_t sum[kTokens][kVectors][kPlanes] = {};
  for (; block < end; block += kUnpackedBlockBytes) {
    for (size_t half = 0; half < 2; ++half) {
      v128_t weights[kVectors];
      for (size_t v = 0; v < kVectors; ++v) weights[v] = wasm_v128_load(block + half * 64 + v * 16);
      for (size_t t = 0; t < kTokens; ++t) {
        for (size_t p = 0; p < kPlanes; ++p) {
          for (size_t v = 0; v < kVectors; ++v) {
            sum[t][v][p] = dot(x[t] + p * 8 + half * 4, weights[v], sum[t][v][p]);
            keep_order(sum[t][v][p]);
          }
        }
      }
    }
    for (size_t t = 0; t < kTokens; ++t) x[t] += kPlanes * kQ4BlockColumns;
  }
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) {
      v128_t total = sum[t][v][0];
      if constexpr (kPlanes == 2) total = total_of<P>(total, sum[t][v][1]);
      wasm_v128_store(sums + t * kQ4TileRows + v * 4, total);
    }
  }
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 6;

  static const std::byte* unpack(const std::byte* blocks, size_t n_blocks, std::byte* out) {
    return unpack_bytes(blocks, n_blocks, out);
  }

  template <Precision P, size_t kTokens>
  [[gnu::noinline]] static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kPlanes = activation_planes(P);
    const size_t offset = args.first * kPlanes;
    alignas(16) int32_t sums[kTokens * kQ4TileRows];
    if constexpr (kTokens == 1) {
      dot_token<P>(args.blocks, args.tail, args.x.bytes[0] + offset, sums);
    } else {
      constexpr size_t kVectors = 2 / kPlanes;
      const std::byte* end = args.blocks + args.n_blocks * kUnpackedBlockBytes;
      for (size_t v = 0; v < 4; v += kVectors) {
        dot_tokens<P, kTokens, kVectors>(args.blocks + v * 16, end, args.x.bytes, offset, sums + v * 4);
      }
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

}  // namespace sutra::kernels::relaxed
