#include "base/half.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

namespace sutra {
namespace {

// Value of a binary16 by its definition.
double half_value(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const double mantissa = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

}  // namespace

TEST_CASE("every binary16 widens to its value and comes back") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float wide = f16_to_f32(half);
    if (std::isnan(half_value(half))) {
      CHECK(std::isnan(wide));
      CHECK(std::isnan(f16_to_f32(f32_to_f16(wide))));
    } else if (static_cast<double>(wide) != half_value(half) || f32_to_f16(wide) != half) {
      FAIL("binary16 " << bits);
    }
  }
}

TEST_CASE("float32 rounds to the nearest binary16, ties to even") {
  // Between each neighbouring pair of positive halves: just below, at and just above the middle.
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const auto next = static_cast<uint16_t>(half + 1);
    const auto middle = static_cast<float>((half_value(half) + half_value(next)) / 2);
    const uint16_t even = half % 2 == 0 ? half : next;
    const bool right = f32_to_f16(middle) == even && f32_to_f16(std::nextafter(middle, 0.0f)) == half &&
                       f32_to_f16(std::nextafter(middle, INFINITY)) == next && f32_to_f16(-middle) == (even | 0x8000);
    if (!right) FAIL("after binary16 " << half);
  }
  CHECK(f32_to_f16(65519.996f) == 0x7bff);
  CHECK(f32_to_f16(65520.0f) == 0x7c00);
  CHECK(f32_to_f16(INFINITY) == 0x7c00);
}

TEST_CASE("bfloat16 keeps its value and rounds ties to even") {
  CHECK(bf16_to_f32(0x3f80) == 1.0f);
  CHECK(f32_to_bf16(1.0f) == 0x3f80);
  CHECK(f32_to_bf16(1.00390625f) == 0x3f80);  // half a unit above: even below
  CHECK(f32_to_bf16(1.01171875f) == 0x3f82);  // half a unit above 0x3f81: even above
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(NAN))));
}

}  // namespace sutra
