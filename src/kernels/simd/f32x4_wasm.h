// Four float32 in a WebAssembly v128; the interface is explained in f32x1.h.
#pragma once

#include <wasm_simd128.h>

#include <cstdint>

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

struct F32x4 {
  static constexpr size_t kLanes = 4;
  // V8 on x86-64 has fifteen and takes no operand from memory.
  static constexpr bool kManyRegisters = false;
  struct Int {
    v128_t v;
  };
  v128_t v;

  static F32x4 zero() { return {wasm_f32x4_const_splat(0.0f)}; }
  static F32x4 splat(float value) { return {wasm_f32x4_splat(value)}; }
  // V8 builds a v128.const anew at each use, with four instructions; it cannot see through a load, which is one.
  static F32x4 constant(const float& value) {
    const float* at = &value;
    asm("" : "+r"(at));
    return {wasm_v128_load32_splat(at)};
  }
  // LLVM orders operations as the trees of single uses that it finds. Two chains side by side would follow each other,
  // with the constants that they share spilled in between; V8 keeps the order it is given.
  static void keep_together(F32x4& a, F32x4& b) { asm("" : "+r"(a.v), "+r"(b.v)); }
  static F32x4 load(const float* from, AllLanes) { return {wasm_v128_load(from)}; }
  static F32x4 load(const float* from, FirstLanes lanes) {
    v128_t loaded = wasm_v128_load32_zero(from);
    if (lanes.n > 1) loaded = wasm_v128_load32_lane(from + 1, loaded, 1);
    if (lanes.n > 2) loaded = wasm_v128_load32_lane(from + 2, loaded, 2);
    return {loaded};
  }
  void store(float* to, AllLanes) const { wasm_v128_store(to, v); }
  void store(float* to, FirstLanes lanes) const {
    wasm_v128_store32_lane(to, v, 0);
    if (lanes.n > 1) wasm_v128_store32_lane(to + 1, v, 1);
    if (lanes.n > 2) wasm_v128_store32_lane(to + 2, v, 2);
  }
  static F32x4 keep(F32x4 a, AllLanes) { return a; }
  static F32x4 keep(F32x4 a, FirstLanes lanes) {
    const v128_t index = wasm_i32x4_const(0, 1, 2, 3);
    return {wasm_v128_and(a.v, wasm_i32x4_lt(index, wasm_i32x4_splat(static_cast<int32_t>(lanes.n))))};
  }
  // Shifted into place the exponent is short by 112; the product is exact, subnormals included. Finite values only.
  // The sign comes along as copies in the bits above, of which the topmost stays.
  static F32x4 load_f16(const uint16_t* from) {
    const v128_t shifted = wasm_i32x4_shl(wasm_i32x4_load16x4(from), 13);
    return {wasm_f32x4_mul(wasm_v128_and(shifted, constant(kHalfBits).v), constant(kHalfScale).v)};
  }
  static F32x4 load_bf16(const uint16_t* from) { return {wasm_i32x4_shl(wasm_u32x4_load16x4(from), 16)}; }

  friend F32x4 operator+(F32x4 a, F32x4 b) { return {wasm_f32x4_add(a.v, b.v)}; }
  friend F32x4 operator-(F32x4 a, F32x4 b) { return {wasm_f32x4_sub(a.v, b.v)}; }
  friend F32x4 operator*(F32x4 a, F32x4 b) { return {wasm_f32x4_mul(a.v, b.v)}; }
  friend F32x4 operator/(F32x4 a, F32x4 b) { return {wasm_f32x4_div(a.v, b.v)}; }

  // pmin(x, y) is y < x ? y : x.
  static F32x4 min(F32x4 a, F32x4 b) { return {wasm_f32x4_pmin(b.v, a.v)}; }
  static F32x4 max(F32x4 a, F32x4 b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
  static F32x4 abs(F32x4 a) { return {wasm_f32x4_abs(a.v)}; }
  static F32x4 with_sign_of(F32x4 magnitude, F32x4 sign) {
    return {wasm_v128_or(magnitude.v, wasm_v128_and(wasm_f32x4_const_splat(-0.0f), sign.v))};
  }
  static F32x4 select_less(F32x4 a, F32x4 b, F32x4 x, F32x4 y) {
    return {wasm_v128_bitselect(x.v, y.v, wasm_f32x4_lt(a.v, b.v))};
  }
  static bool all_less(F32x4 a, F32x4 b) { return wasm_i32x4_bitmask(wasm_f32x4_lt(a.v, b.v)) == 0xf; }
  static float sum(F32x4 a) {
    const v128_t two = wasm_f32x4_add(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 2, 3));
    return wasm_f32x4_extract_lane(wasm_f32x4_add(two, wasm_i32x4_shuffle(two, two, 1, 1, 1, 1)), 0);
  }
  static float least(F32x4 a) {
    const v128_t two = wasm_f32x4_pmin(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 2, 3));
    return wasm_f32x4_extract_lane(wasm_f32x4_pmin(two, wasm_i32x4_shuffle(two, two, 1, 1, 1, 1)), 0);
  }
  static float largest(F32x4 a) {
    const v128_t two = wasm_f32x4_pmax(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 2, 3));
    return wasm_f32x4_extract_lane(wasm_f32x4_pmax(two, wasm_i32x4_shuffle(two, two, 1, 1, 1, 1)), 0);
  }

  static Int bits(F32x4 a) { return {a.v}; }
  static F32x4 from_bits(Int a) { return {a.v}; }
  static Int add(Int a, Int b) { return {wasm_i32x4_add(a.v, b.v)}; }
  static Int sub(Int a, Int b) { return {wasm_i32x4_sub(a.v, b.v)}; }
  static Int max(Int a, Int b) { return {wasm_i32x4_max(a.v, b.v)}; }
  static Int half(Int a) { return {wasm_i32x4_shr(a.v, 1)}; }
  static Int shift_left_23(Int a) { return {wasm_i32x4_shl(a.v, 23)}; }

 private:
  static constexpr float kHalfBits = __builtin_bit_cast(float, 0x8fffffffu);  // sign, exponent and mantissa in place
  static constexpr float kHalfScale = 0x1p112f;
};

}  // namespace
}  // namespace sutra::kernels
