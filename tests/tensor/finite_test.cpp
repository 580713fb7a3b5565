#include "tensor/finite.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

namespace sutra {

TEST_CASE("first_non_finite finds the first NaN or infinity at any position and length") {
  for (const uint64_t n : {1u, 7u, 1023u, 1024u, 1025u, 3000u}) {
    auto tensor = Tensor::create(Dtype::kF32, {n});
    REQUIRE(tensor.has_value());
    for (float& value : tensor->as<float>()) value = -std::numeric_limits<float>::max();
    CHECK_FALSE(first_non_finite(tensor->view()).has_value());
    for (const uint64_t at : {n - 1, n / 2, uint64_t{0}}) {
      tensor->as<float>()[static_cast<size_t>(at)] =
          at % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity();
      CHECK(first_non_finite(tensor->view()) == at);
    }
  }
}

TEST_CASE("first_non_finite knows the largest finite and the smallest non-finite value of each float dtype") {
  const auto check = [](Dtype dtype, auto largest_finite, auto infinity) {
    auto tensor = Tensor::create(dtype, {3});
    REQUIRE(tensor.has_value());
    auto elements = tensor->as<decltype(infinity)>();
    elements[1] = largest_finite;
    CHECK_FALSE(first_non_finite(tensor->view()).has_value());
    elements[1] = infinity;
    CHECK(first_non_finite(tensor->view()) == 1u);
  };
  check(Dtype::kF64, uint64_t{0xffefffffffffffffu}, uint64_t{0xfff0000000000000u});
  check(Dtype::kF32, uint32_t{0xff7fffffu}, uint32_t{0x7f800000u});
  check(Dtype::kF16, uint16_t{0x7bff}, uint16_t{0xfc00});
  check(Dtype::kBF16, uint16_t{0x7f7f}, uint16_t{0xff80});
}

TEST_CASE("first_non_finite takes integers for finite whatever their bits") {
  auto tensor = Tensor::create(Dtype::kI32, {2});
  REQUIRE(tensor.has_value());
  tensor->as<uint32_t>()[0] = 0x7fc00000u;
  CHECK_FALSE(first_non_finite(tensor->view()).has_value());
}

}  // namespace sutra
