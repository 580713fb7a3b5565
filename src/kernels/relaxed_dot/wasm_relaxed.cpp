#include <wasm_simd128.h>

#include <cstdint>

#include "kernels/relaxed_dot/relaxed_dot.h"

namespace sutra::kernels::relaxed {

bool dot_saturates() {
  // Loads that the compiler cannot see through: this is about the machine.
  static constexpr uint32_t kFirst = 0x7f7f7f7f, kSecond = 0xffffffff;
  const uint32_t *first = &kFirst, *second = &kSecond;
  asm volatile("" : "+r"(first), "+r"(second));
  const v128_t dot = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load32_splat(first),
                                                            wasm_v128_load32_splat(second), wasm_i32x4_splat(0));
  // Two pairs, each 127 · 255 · 2 cut to the largest 16-bit number.
  return wasm_i32x4_extract_lane(dot, 0) == 2 * INT16_MAX;
}

}  // namespace sutra::kernels::relaxed
