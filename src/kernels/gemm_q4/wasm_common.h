// What both WebAssembly variants share: constants, and the end of a group.
#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm_q4/layout.h"

namespace sutra::kernels {

// A splat that engines must keep in a register: V8 builds a v128.const anew at each use, three instructions in the
// middle of an inner loop, but it cannot see through a load.
inline v128_t splat_in_register(const uint16_t& value) {
  const uint16_t* at = &value;
  asm("" : "+r"(at));
  return wasm_v128_load16_splat(at);
}

// Four finite binary16 as float32 (base/half.h: shift into place, then an exact multiplication).
inline v128_t load_half4(const std::byte* at) {
  const v128_t half = wasm_u32x4_load16x4(at);
  const v128_t magnitude = wasm_v128_and(half, wasm_i32x4_const_splat(0x7fff));
  const v128_t sign = wasm_v128_xor(half, magnitude);
  const v128_t value = wasm_f32x4_mul(wasm_i32x4_shl(magnitude, 13), wasm_f32x4_const_splat(0x1p112f));
  return wasm_v128_or(value, wasm_i32x4_shl(sign, 16));
}

// The scales and zero points of rows 4v…4v+3, which follow a group's nibbles.
struct GroupTail {
  v128_t scales;
  v128_t zeros;

  GroupTail(const std::byte* tail, size_t v)
      : scales(load_half4(tail + v * 8)),
        zeros(wasm_u32x4_extend_low_u16x8(
            wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(tail + kQ4TileRows * sizeof(uint16_t) + v * 4)))) {}

  // y + float(Σ q·xq − zero · Σ xq) · (scale_w · scale_x)
  [[nodiscard]] v128_t add(v128_t y, v128_t sum, int32_t x_sum, float x_scale) const {
    const v128_t integer = wasm_i32x4_sub(sum, wasm_i32x4_mul(zeros, wasm_i32x4_splat(x_sum)));
    const v128_t scale = wasm_f32x4_mul(scales, wasm_f32x4_splat(x_scale));
    return wasm_f32x4_add(y, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(integer), scale));
  }
};

}  // namespace sutra::kernels
