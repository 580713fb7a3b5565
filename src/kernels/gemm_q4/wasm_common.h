// What both WebAssembly variants share: constants, and the end of a group.
#pragma once

#include <wasm_simd128.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/gemm_q4/layout.h"

namespace sutra::kernels {

// A splat by a load that stays where it is written. V8 builds a v128.const anew at each use, three instructions in the
// middle of an inner loop; LLVM turns known masks into shuffles; and a value hoisted past an inner loop would take a
// register from it. Neither can see through this.
inline v128_t load_splat(const uint32_t& value) {
  const uint32_t* at = &value;
  asm volatile("" : "+r"(at));
  return wasm_v128_load32_splat(at);
}

// The sums of one group, Σ q·xq, become part of the results. sums and y are [kTokens][16]; x_sums[t] and x_scales[t]
// belong to this group.
//
//   y += float(Σ q·xq − zero · Σ xq) · (scale_w · scale_x)
template <size_t kTokens>
void add_group(const std::byte* tail, const int32_t* sums, const int32_t* const (&x_sums)[kTokens],
               const float* const (&x_scales)[kTokens], size_t group, float* y) {
  static constexpr uint32_t kHalfBits = 0x8fffe000u;  // sign, exponent and mantissa of a half after the shift
  static constexpr uint32_t kHalfScale = std::bit_cast<uint32_t>(0x1p112f);
  const v128_t half_bits = load_splat(kHalfBits);
  const v128_t half_scale = load_splat(kHalfScale);
  v128_t w_scales[4];
  v128_t zeros[4];
  for (size_t v = 0; v < 4; ++v) {
    // Finite binary16 to float32: sign-extended and shifted into place, then an exact product (base/half.h).
    const v128_t shifted = wasm_i32x4_shl(wasm_i32x4_load16x4(tail + v * 8), 13);
    w_scales[v] = wasm_f32x4_mul(wasm_v128_and(shifted, half_bits), half_scale);
    const v128_t zeros_8 = wasm_u16x8_load8x8(tail + kQ4TileRows * sizeof(uint16_t) + v / 2 * 8);
    zeros[v] = v % 2 == 0 ? wasm_u32x4_extend_low_u16x8(zeros_8) : wasm_u32x4_extend_high_u16x8(zeros_8);
  }
  for (size_t t = 0; t < kTokens; ++t) {
    const v128_t x_sum = wasm_v128_load32_splat(x_sums[t] + group);
    const v128_t x_scale = wasm_v128_load32_splat(x_scales[t] + group);
    for (size_t v = 0; v < 4; ++v) {
      const size_t at = t * kQ4TileRows + v * 4;
      const v128_t integer = wasm_i32x4_sub(wasm_v128_load(sums + at), wasm_i32x4_mul(zeros[v], x_sum));
      const v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(integer), wasm_f32x4_mul(w_scales[v], x_scale));
      wasm_v128_store(y + at, wasm_f32x4_add(wasm_v128_load(y + at), product));
    }
  }
}

}  // namespace sutra::kernels
