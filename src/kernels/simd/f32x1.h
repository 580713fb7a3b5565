// One float32 with the interface of the vector types: the scalar variants.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/half.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

struct F32x1 {
  static constexpr size_t kLanes = 1;
  struct Int {
    int32_t v;
  };
  float v;

  static F32x1 zero() { return {0.0f}; }
  static F32x1 splat(float value) { return {value}; }
  // A constant of static storage: a way to keep it cheap where splat() is not.
  static F32x1 constant(const float& value) { return {value}; }
  static F32x1 load(const float* from, AllLanes) { return {*from}; }
  void store(float* to, AllLanes) const { *to = v; }
  static F32x1 keep(F32x1 a, AllLanes) { return a; }
  static F32x1 load_f16(const uint16_t* from) { return {f16_to_f32(*from)}; }
  static F32x1 load_bf16(const uint16_t* from) { return {bf16_to_f32(*from)}; }

  friend F32x1 operator+(F32x1 a, F32x1 b) { return {a.v + b.v}; }
  friend F32x1 operator-(F32x1 a, F32x1 b) { return {a.v - b.v}; }
  friend F32x1 operator*(F32x1 a, F32x1 b) { return {a.v * b.v}; }
  friend F32x1 operator/(F32x1 a, F32x1 b) { return {a.v / b.v}; }

  // b when the comparison is false, so also when one of them is NaN.
  static F32x1 min(F32x1 a, F32x1 b) { return {a.v < b.v ? a.v : b.v}; }
  static F32x1 max(F32x1 a, F32x1 b) { return {a.v > b.v ? a.v : b.v}; }
  static F32x1 abs(F32x1 a) { return {std::fabs(a.v)}; }
  // magnitude ≥ 0 or NaN
  static F32x1 with_sign_of(F32x1 magnitude, F32x1 sign) { return {std::copysign(magnitude.v, sign.v)}; }
  // a < b ? x : y
  static F32x1 select_less(F32x1 a, F32x1 b, F32x1 x, F32x1 y) { return a.v < b.v ? x : y; }
  // a < b in every lane, so false where one is NaN
  static bool all_less(F32x1 a, F32x1 b) { return a.v < b.v; }
  // Lanes added as a tree: i + (i+2), i + (i+1).
  static float sum(F32x1 a) { return a.v; }
  // Of the lanes, where none is NaN and zeros have one sign.
  static float least(F32x1 a) { return a.v; }
  static float largest(F32x1 a) { return a.v; }

  static Int bits(F32x1 a) { return {std::bit_cast<int32_t>(a.v)}; }
  static F32x1 from_bits(Int a) { return {std::bit_cast<float>(a.v)}; }
  // Integers wrap; half rounds down.
  static Int add(Int a, Int b) {
    return {static_cast<int32_t>(static_cast<uint32_t>(a.v) + static_cast<uint32_t>(b.v))};
  }
  static Int sub(Int a, Int b) {
    return {static_cast<int32_t>(static_cast<uint32_t>(a.v) - static_cast<uint32_t>(b.v))};
  }
  static Int max(Int a, Int b) { return a.v > b.v ? a : b; }
  static Int half(Int a) { return {a.v >> 1}; }
  static Int shift_left_23(Int a) { return {static_cast<int32_t>(static_cast<uint32_t>(a.v) << 23)}; }
};

}  // namespace
}  // namespace sutra::kernels
