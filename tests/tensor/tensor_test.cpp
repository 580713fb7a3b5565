#include "tensor/tensor.h"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

namespace sutra {

TEST_CASE("a shape refuses zero, more than eight dimensions and products that wrap") {
  const auto code_of = [](std::vector<uint64_t> dims) { return Shape::from_dims(dims).error().code; };
  CHECK(code_of({4, 0, 2}) == ErrorCode::kMalformed);
  CHECK(code_of({1, 1, 1, 1, 1, 1, 1, 1, 1}) == ErrorCode::kMalformed);
  CHECK(code_of({uint64_t{1} << 40, uint64_t{1} << 40}) == ErrorCode::kTooLarge);
}

TEST_CASE("a shape knows its elements and prints itself") {
  const Shape shape = {4, 384};
  CHECK(shape.n_elements() == 1536);
  CHECK(shape.to_string() == "[4, 384]");
  CHECK(Shape{}.n_elements() == 1);
  CHECK(shape == Shape{4, 384});
  CHECK_FALSE(shape == Shape{384, 4});
}

TEST_CASE("bytes of a tensor that wrap are an error") {
  const auto bytes = tensor_bytes(Dtype::kF64, {uint64_t{1} << 62});
  REQUIRE_FALSE(bytes);
  CHECK(bytes.error().code == ErrorCode::kTooLarge);
}

TEST_CASE("float tensors widen to float32") {
  const std::array<uint16_t, 2> halves = {0x3c00, 0xc000};  // 1, -2
  const auto from_half = to_f32({Dtype::kF16, {2}, std::as_bytes(std::span(halves))});
  REQUIRE(from_half);
  CHECK(from_half->as<float>()[0] == 1.0f);
  CHECK(from_half->as<float>()[1] == -2.0f);
  const std::array<double, 1> doubles = {0.1};
  const auto from_double = to_f32({Dtype::kF64, {1}, std::as_bytes(std::span(doubles))});
  REQUIRE(from_double);
  CHECK(from_double->as<float>()[0] == 0.1f);
  const std::array<int32_t, 1> integers = {1};
  CHECK(to_f32({Dtype::kI32, {1}, std::as_bytes(std::span(integers))}).error().code == ErrorCode::kDtypeMismatch);
}

}  // namespace sutra
