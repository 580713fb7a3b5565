// Sixteen float32 in an AVX-512 register; the interface is explained in f32x1.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

struct F32x16 {
  static constexpr size_t kLanes = 16;
  static constexpr bool kManyRegisters = true;
  struct Int {
    __m512i v;
  };
  __m512 v;

  static F32x16 zero() { return {_mm512_setzero_ps()}; }
  static F32x16 splat(float value) { return {_mm512_set1_ps(value)}; }
  static F32x16 constant(const float& value) { return splat(value); }
  static F32x16 load(const float* from, AllLanes) { return {_mm512_loadu_ps(from)}; }
  static F32x16 load(const float* from, FirstLanes lanes) { return {_mm512_maskz_loadu_ps(mask(lanes), from)}; }
  void store(float* to, AllLanes) const { _mm512_storeu_ps(to, v); }
  void store(float* to, FirstLanes lanes) const { _mm512_mask_storeu_ps(to, mask(lanes), v); }
  static F32x16 keep(F32x16 a, AllLanes) { return a; }
  static F32x16 keep(F32x16 a, FirstLanes lanes) { return {_mm512_maskz_mov_ps(mask(lanes), a.v)}; }
  static F32x16 load_f16(const uint16_t* from) { return {_mm512_cvtph_ps(load_u16(from))}; }
  static F32x16 load_bf16(const uint16_t* from) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_u16(from)), 16))};
  }

  friend F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }

  static F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
  static F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
  static F32x16 abs(F32x16 a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
  static F32x16 with_sign_of(F32x16 magnitude, F32x16 sign) {
    return {_mm512_or_ps(magnitude.v, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign.v))};
  }
  static F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
  }
  static bool all_less(F32x16 a, F32x16 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ) == 0xffff; }
  static float sum(F32x16 a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float least(F32x16 a) { return _mm512_reduce_min_ps(a.v); }
  static float largest(F32x16 a) { return _mm512_reduce_max_ps(a.v); }

  static Int bits(F32x16 a) { return {_mm512_castps_si512(a.v)}; }
  static F32x16 from_bits(Int a) { return {_mm512_castsi512_ps(a.v)}; }
  static Int add(Int a, Int b) { return {_mm512_add_epi32(a.v, b.v)}; }
  static Int sub(Int a, Int b) { return {_mm512_sub_epi32(a.v, b.v)}; }
  static Int max(Int a, Int b) { return {_mm512_max_epi32(a.v, b.v)}; }
  static Int half(Int a) { return {_mm512_srai_epi32(a.v, 1)}; }
  static Int shift_left_23(Int a) { return {_mm512_slli_epi32(a.v, 23)}; }

 private:
  static __m256i load_u16(const uint16_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static __mmask16 mask(FirstLanes lanes) { return static_cast<__mmask16>((1u << lanes.n) - 1u); }
};

}  // namespace
}  // namespace sutra::kernels
