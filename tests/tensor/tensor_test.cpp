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

TEST_CASE("a shape that may have a zero has no elements, and its other dimensions may still not wrap") {
  const auto shape = Shape::from_dims(std::vector<uint64_t>{4, 0, 2}, ZeroDims::kAllow);
  REQUIRE(shape);
  CHECK(shape->n_elements() == 0);
  CHECK(shape->to_string() == "[4, 0, 2]");
  const std::vector<uint64_t> wraps = {0, uint64_t{1} << 40, uint64_t{1} << 40};
  CHECK(Shape::from_dims(wraps, ZeroDims::kAllow).error().code == ErrorCode::kTooLarge);
}

TEST_CASE("dtype_from_name undoes dtype_name and knows nothing else") {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBF16, Dtype::kI8, Dtype::kU64, Dtype::kBool}) {
    CHECK(dtype_from_name(dtype_name(dtype)) == dtype);
  }
  for (const std::string_view name : {"", "f32", "F3", "F322", "?"}) CHECK_FALSE(dtype_from_name(name).has_value());
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
