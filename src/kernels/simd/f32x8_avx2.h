// Eight float32 in an AVX register; the interface is explained in f32x1.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

struct F32x8 {
  static constexpr size_t kLanes = 8;
  static constexpr bool kManyRegisters = true;
  struct Int {
    __m256i v;
  };
  __m256 v;

  static F32x8 zero() { return {_mm256_setzero_ps()}; }
  static F32x8 splat(float value) { return {_mm256_set1_ps(value)}; }
  static F32x8 constant(const float& value) { return splat(value); }
  static F32x8 load(const float* from, AllLanes) { return {_mm256_loadu_ps(from)}; }
  static F32x8 load(const float* from, FirstLanes lanes) { return {_mm256_maskload_ps(from, mask(lanes))}; }
  void store(float* to, AllLanes) const { _mm256_storeu_ps(to, v); }
  void store(float* to, FirstLanes lanes) const { _mm256_maskstore_ps(to, mask(lanes), v); }
  static F32x8 keep(F32x8 a, AllLanes) { return a; }
  static F32x8 keep(F32x8 a, FirstLanes lanes) { return {_mm256_and_ps(a.v, _mm256_castsi256_ps(mask(lanes)))}; }
  static F32x8 load_f16(const uint16_t* from) { return {_mm256_cvtph_ps(load_u16(from))}; }
  static F32x8 load_bf16(const uint16_t* from) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_u16(from)), 16))};
  }

  friend F32x8 operator+(F32x8 a, F32x8 b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend F32x8 operator-(F32x8 a, F32x8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend F32x8 operator*(F32x8 a, F32x8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend F32x8 operator/(F32x8 a, F32x8 b) { return {_mm256_div_ps(a.v, b.v)}; }

  static F32x8 min(F32x8 a, F32x8 b) { return {_mm256_min_ps(a.v, b.v)}; }
  static F32x8 max(F32x8 a, F32x8 b) { return {_mm256_max_ps(a.v, b.v)}; }
  static F32x8 abs(F32x8 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
  static F32x8 with_sign_of(F32x8 magnitude, F32x8 sign) {
    return {_mm256_or_ps(magnitude.v, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign.v))};
  }
  static F32x8 select_less(F32x8 a, F32x8 b, F32x8 x, F32x8 y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
  }
  static bool all_less(F32x8 a, F32x8 b) { return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)) == 0xff; }
  static float sum(F32x8 a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float least(F32x8 a) {
    const __m128 four = _mm_min_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 two = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
  }
  static float largest(F32x8 a) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static Int bits(F32x8 a) { return {_mm256_castps_si256(a.v)}; }
  static F32x8 from_bits(Int a) { return {_mm256_castsi256_ps(a.v)}; }
  static Int add(Int a, Int b) { return {_mm256_add_epi32(a.v, b.v)}; }
  static Int sub(Int a, Int b) { return {_mm256_sub_epi32(a.v, b.v)}; }
  static Int max(Int a, Int b) { return {_mm256_max_epi32(a.v, b.v)}; }
  static Int half(Int a) { return {_mm256_srai_epi32(a.v, 1)}; }
  static Int shift_left_23(Int a) { return {_mm256_slli_epi32(a.v, 23)}; }

 private:
  static __m128i load_u16(const uint16_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
  static __m256i mask(FirstLanes lanes) {
    static constexpr int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + 8 - lanes.n));
  }
};

}  // namespace
}  // namespace sutra::kernels
