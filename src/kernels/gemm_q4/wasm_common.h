// What both WebAssembly variants share: constants, and the end of a group.
#pragma once

#include <wasm_simd128.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/gemm_q4/layout.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels {

// A splat by a load that stays where it is written. V8 builds a v128.const anew at each use, three instructions in the
// middle of an inner loop; LLVM turns known masks into shuffles; and a value hoisted past an inner loop would take a
// register from it. Neither can see through this.
inline v128_t load_splat(const uint32_t& value) {
  const uint32_t* at = &value;
  asm volatile("" : "+r"(at));
  return wasm_v128_load32_splat(at);
}

// The low nibble of each byte.
inline constexpr uint32_t kLowNibbles = 0x0f0f0f0f;

// The blocks of a group with a weight in each byte: a block's even columns of all rows, then its odd ones.
inline constexpr size_t kUnpackedBlockBytes = 2 * kQ4BlockBytes;
inline const std::byte* unpack_bytes(const std::byte* blocks, size_t n_blocks, std::byte* out) {
  const v128_t mask = load_splat(kLowNibbles);
  for (size_t block = 0; block < n_blocks; ++block) {
    for (size_t v = 0; v < 4; ++v) {
      const v128_t packed = wasm_v128_load(blocks + block * kQ4BlockBytes + v * 16);
      std::byte* to = out + block * kUnpackedBlockBytes + v * 16;
      wasm_v128_store(to, wasm_v128_and(packed, mask));
      wasm_v128_store(to + kQ4BlockBytes, wasm_v128_and(wasm_u16x8_shr(packed, 4), mask));
    }
  }
  return out;
}

// Four finite binary16 to float32: sign-extended and shifted into place, then an exact product (base/half.h).
inline v128_t widen_halves(const std::byte* at) {
  static constexpr uint32_t kHalfBits = 0x8fffe000u;  // sign, exponent and mantissa of a half after the shift
  static constexpr uint32_t kHalfScale = std::bit_cast<uint32_t>(0x1p112f);
  const v128_t shifted = wasm_i32x4_shl(wasm_i32x4_load16x4(at), 13);
  return wasm_f32x4_mul(wasm_v128_and(shifted, load_splat(kHalfBits)), load_splat(kHalfScale));
}

// y += offset · (float(Σ xq) · scale_x)
template <size_t kTokens>
[[gnu::noinline]] void add_offsets(const std::byte* offsets, const TokenViews<kTokens>& x, size_t group, float* y) {
  for (size_t v = 0; v < 4; ++v) {
    const v128_t w_offsets = widen_halves(offsets + v * 8);
    for (size_t t = 0; t < kTokens; ++t) {
      const v128_t x_sum = wasm_f32x4_convert_i32x4(wasm_v128_load32_splat(x.sums[t] + group));
      const v128_t x_total = wasm_f32x4_mul(x_sum, wasm_v128_load32_splat(x.scales[t] + group));
      float* at = y + t * kQ4TileRows + v * 4;
      wasm_v128_store(at, wasm_f32x4_add(wasm_v128_load(at), wasm_f32x4_mul(w_offsets, x_total)));
    }
  }
}

// The sums of one group, Σ q·xq, become part of the results. sums and y are [kTokens][16].
//
//   y += float(Σ q·xq − zero · Σ xq) · (scale_w · scale_x), and what the offsets give
template <size_t kTokens>
void add_group(const GroupArgs<Q4View, kTokens>& args, const int32_t* sums, float* y) {
  const std::byte* const tail = args.tail;
  const std::byte* const second = tail + kQ4ScaleBytes;
  const bool has_zeros = args.w.form == Q4Form::kZeros;
  v128_t w_scales[4];
  v128_t zeros[4] = {};
  for (size_t v = 0; v < 4; ++v) {
    w_scales[v] = widen_halves(tail + v * 8);
    if (has_zeros) {
      const v128_t zeros_8 = wasm_u16x8_load8x8(second + v / 2 * 8);
      zeros[v] = v % 2 == 0 ? wasm_u32x4_extend_low_u16x8(zeros_8) : wasm_u32x4_extend_high_u16x8(zeros_8);
    }
  }
  for (size_t t = 0; t < kTokens; ++t) {
    const v128_t x_sum = wasm_v128_load32_splat(args.x.sums[t] + args.group);
    const v128_t x_scale = wasm_v128_load32_splat(args.x.scales[t] + args.group);
    for (size_t v = 0; v < 4; ++v) {
      const size_t at = t * kQ4TileRows + v * 4;
      const v128_t integer = wasm_i32x4_sub(wasm_v128_load(sums + at), wasm_i32x4_mul(zeros[v], x_sum));
      const v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(integer), wasm_f32x4_mul(w_scales[v], x_scale));
      wasm_v128_store(y + at, wasm_f32x4_add(wasm_v128_load(y + at), product));
    }
  }
  if (!has_zeros) add_offsets(second, args.x, args.group, y);
}

}  // namespace sutra::kernels
