// Four float32 in an AArch64 vector register; the interface is explained in f32x1.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

struct F32x4 {
  static constexpr size_t kLanes = 4;
  static constexpr bool kManyRegisters = true;
  struct Int {
    int32x4_t v;
  };
  float32x4_t v;

  static F32x4 zero() { return {vdupq_n_f32(0.0f)}; }
  static F32x4 splat(float value) { return {vdupq_n_f32(value)}; }
  static F32x4 constant(const float& value) { return splat(value); }
  static F32x4 load(const float* from, AllLanes) { return {vld1q_f32(from)}; }
  static F32x4 load(const float* from, FirstLanes lanes) {
    float32x4_t loaded = vsetq_lane_f32(from[0], vdupq_n_f32(0.0f), 0);
    if (lanes.n > 1) loaded = vld1q_lane_f32(from + 1, loaded, 1);
    if (lanes.n > 2) loaded = vld1q_lane_f32(from + 2, loaded, 2);
    return {loaded};
  }
  void store(float* to, AllLanes) const { vst1q_f32(to, v); }
  void store(float* to, FirstLanes lanes) const {
    vst1q_lane_f32(to, v, 0);
    if (lanes.n > 1) vst1q_lane_f32(to + 1, v, 1);
    if (lanes.n > 2) vst1q_lane_f32(to + 2, v, 2);
  }
  static F32x4 keep(F32x4 a, AllLanes) { return a; }
  static F32x4 keep(F32x4 a, FirstLanes lanes) {
    static constexpr uint32_t kMasks[8] = {~0u, ~0u, ~0u, ~0u, 0, 0, 0, 0};
    const uint32x4_t kept = vandq_u32(vreinterpretq_u32_f32(a.v), vld1q_u32(kMasks + 4 - lanes.n));
    return {vreinterpretq_f32_u32(kept)};
  }
  static F32x4 load_f16(const uint16_t* from) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)))}; }
  static F32x4 load_bf16(const uint16_t* from) { return {vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16))}; }

  friend F32x4 operator+(F32x4 a, F32x4 b) { return {vaddq_f32(a.v, b.v)}; }
  friend F32x4 operator-(F32x4 a, F32x4 b) { return {vsubq_f32(a.v, b.v)}; }
  friend F32x4 operator*(F32x4 a, F32x4 b) { return {vmulq_f32(a.v, b.v)}; }
  friend F32x4 operator/(F32x4 a, F32x4 b) { return {vdivq_f32(a.v, b.v)}; }

  // FMIN and FMAX treat NaN and −0 differently from the other instruction sets, so compare and select.
  static F32x4 min(F32x4 a, F32x4 b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
  static F32x4 max(F32x4 a, F32x4 b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
  static F32x4 abs(F32x4 a) { return {vabsq_f32(a.v)}; }
  static F32x4 with_sign_of(F32x4 magnitude, F32x4 sign) {
    return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
  }
  static F32x4 select_less(F32x4 a, F32x4 b, F32x4 x, F32x4 y) { return {vbslq_f32(vcltq_f32(a.v, b.v), x.v, y.v)}; }
  static bool all_less(F32x4 a, F32x4 b) { return vminvq_u32(vcltq_f32(a.v, b.v)) != 0; }
  static float sum(F32x4 a) {
    const float32x2_t two = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
    return vget_lane_f32(vadd_f32(two, vdup_lane_f32(two, 1)), 0);
  }
  static float least(F32x4 a) { return vminvq_f32(a.v); }
  static float largest(F32x4 a) { return vmaxvq_f32(a.v); }

  static Int bits(F32x4 a) { return {vreinterpretq_s32_f32(a.v)}; }
  static F32x4 from_bits(Int a) { return {vreinterpretq_f32_s32(a.v)}; }
  static Int add(Int a, Int b) { return {vaddq_s32(a.v, b.v)}; }
  static Int sub(Int a, Int b) { return {vsubq_s32(a.v, b.v)}; }
  static Int max(Int a, Int b) { return {vmaxq_s32(a.v, b.v)}; }
  static Int half(Int a) { return {vshrq_n_s32(a.v, 1)}; }
  static Int shift_left_23(Int a) { return {vshlq_n_s32(a.v, 23)}; }
};

}  // namespace
}  // namespace sutra::kernels
