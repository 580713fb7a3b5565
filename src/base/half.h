// IEEE binary16 and bfloat16 to and from binary32. Exact up; round to nearest even down.
#pragma once

#include <bit>
#include <cstdint>

namespace sutra {

inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = (static_cast<uint32_t>(half) & 0x8000u) << 16;
  const uint32_t exponent_mantissa = half & 0x7fffu;
  if (exponent_mantissa >= 0x7c00u) {  // infinity, NaN: keep the payload
    return std::bit_cast<float>(sign | 0x7f800000u | ((exponent_mantissa & 0x3ffu) << 13));
  }
  // Shifted into place the exponent is short by 112; the product is exact, subnormals included.
  const float magnitude = std::bit_cast<float>(exponent_mantissa << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {
    // Subnormal half: adding 0.5 aligns the unit of the sum to 2^-24, so the FPU rounds for us.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + odd;
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

inline bool f16_is_finite(uint16_t half) { return (half & 0x7c00u) != 0x7c00u; }

inline float bf16_to_f32(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace sutra
