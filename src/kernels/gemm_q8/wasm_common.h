// What both WebAssembly variants share: the end of a group.
#pragma once

#include <wasm_simd128.h>

#include "kernels/gemm_q8/layout.h"

namespace sutra::kernels {

// y += float(integer) · (scale_w · scale_x) for rows 4v…4v+3.
inline void add_q8_part(v128_t integer, const std::byte* tail, size_t v, const float* x_scale, float* y) {
  const v128_t scale = wasm_f32x4_mul(wasm_v128_load(tail + v * 16), wasm_v128_load32_splat(x_scale));
  const v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(integer), scale);
  wasm_v128_store(y + v * 4, wasm_f32x4_add(wasm_v128_load(y + v * 4), product));
}

}  // namespace sutra::kernels
