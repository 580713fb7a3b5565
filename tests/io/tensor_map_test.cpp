#include "io/tensor_map.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace sutra {
namespace {

Tensor tensor(Dtype dtype, const Shape& shape) {
  auto result = Tensor::create(dtype, shape);
  REQUIRE(result.has_value());
  return std::move(*result);
}

TensorMap two_tensors() {
  TensorMap tensors;
  REQUIRE(tensors.insert("emb.weight", tensor(Dtype::kF16, {8, 4})).has_value());
  REQUIRE(tensors.insert("qweight", tensor(Dtype::kI32, {2})).has_value());
  return tensors;
}

}  // namespace

TEST_CASE("tensor map hands a tensor over once") {
  TensorMap tensors = two_tensors();
  CHECK(tensors.n_bytes() == 64 + 8);
  const auto taken = tensors.take("emb.weight", kAnyFloat, {8, 4});
  REQUIRE(taken.has_value());
  CHECK(taken->shape() == Shape{8, 4});
  CHECK(tensors.names() == std::vector<std::string>{"qweight"});
  CHECK(tensors.find("emb.weight") == nullptr);
  const auto again = tensors.take("emb.weight", kAnyFloat, {8, 4});
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == ErrorCode::kNotFound);
  CHECK(again.error().message == "tensor 'emb.weight' is missing");
}

TEST_CASE("tensor map refuses a tensor of another shape with both shapes, and keeps it") {
  TensorMap tensors = two_tensors();
  const auto taken = tensors.take("emb.weight", kAnyFloat, {4, 8});
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == ErrorCode::kShapeMismatch);
  CHECK(taken.error().message == "tensor 'emb.weight': expected shape [4, 8], found [8, 4]");
  CHECK(tensors.contains("emb.weight"));
}

TEST_CASE("tensor map refuses a tensor of another dtype with the accepted ones and the found one") {
  TensorMap tensors = two_tensors();
  const auto taken = tensors.take("qweight", kAnyFloat, {2});
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == ErrorCode::kDtypeMismatch);
  CHECK(taken.error().message == "tensor 'qweight': expected F64, F32, F16 or BF16, found I32");
  CHECK(tensors.take("emb.weight", Dtype::kI32, {8, 4}).error().message ==
        "tensor 'emb.weight': expected I32, found F16");
  CHECK(tensors.take("qweight", Dtype::kI32, {2}).has_value());
}

TEST_CASE("tensor map refuses a second tensor of the same name and keeps the first") {
  TensorMap tensors = two_tensors();
  const auto status = tensors.insert("qweight", tensor(Dtype::kF32, {5}));
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kMalformed);
  CHECK(tensors.find("qweight")->shape() == Shape{2});
  CHECK(tensors.size() == 2);
}

}  // namespace sutra
