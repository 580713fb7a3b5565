#include "model/fla_rwkv6.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <numeric>

#include "support/golden.h"

namespace sutra {
namespace {

using test::value_of;

// 1, 2, 3 …
Tensor counting(const Shape& shape) {
  Tensor tensor = value_of(Tensor::create(Dtype::kF32, shape));
  std::iota(tensor.as<float>().begin(), tensor.as<float>().end(), 1.0F);
  return tensor;
}

WeightMap weights_with(const std::string& name, const Shape& shape) {
  WeightMap weights;
  REQUIRE(weights.insert(name, counting(shape)).has_value());
  return weights;
}

std::vector<float> values(const WeightMap& weights, std::string_view name, const Shape& shape) {
  const Tensor* const tensor = weights.find(name);
  REQUIRE(tensor != nullptr);
  CHECK(tensor->shape() == shape);
  return {tensor->as<float>().begin(), tensor->as<float>().end()};
}

}  // namespace

// Theirs are r, w, k, v, g; BlinkDL's w, k, v, r, g.
TEST_CASE("flash-linear-attention's mixes of RWKV-6 come into BlinkDL's order") {
  WeightMap weights = weights_with("model.layers.3.attn.x_proj.0.linear.weight", {5, 2});
  REQUIRE(weights.insert("model.layers.3.attn.x_proj.2.weight", counting({2, 5})).has_value());
  REQUIRE(weights.insert("model.layers.3.attn.x_bias", counting({5, 2})).has_value());
  REQUIRE(use_blinkdl_names_of_fla(weights).has_value());
  // [C, 5·R]: rows of theirs are columns of BlinkDL's.
  CHECK(values(weights, "blocks.3.att.time_maa_w1", {2, 5}) == std::vector<float>{3, 5, 7, 1, 9, 4, 6, 8, 2, 10});
  // [5, R, C]
  CHECK(values(weights, "blocks.3.att.time_maa_w2", {5, 1, 2}) == std::vector<float>{2, 7, 3, 8, 4, 9, 1, 6, 5, 10});
  CHECK(values(weights, "blocks.3.att.time_maa_r", {1, 1, 2}) == std::vector<float>{1, 2});
  CHECK(values(weights, "blocks.3.att.time_maa_g", {1, 1, 2}) == std::vector<float>{9, 10});
  CHECK(weights.names().size() == 7);
}

TEST_CASE("a tensor of flash-linear-attention's RWKV-6 that cannot be what its name says is refused") {
  const auto code_of = [](const std::string& name, const Shape& shape) {
    WeightMap weights = weights_with(name, shape);
    const Status status = use_blinkdl_names_of_fla(weights);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().message.find(name) != std::string::npos);
    return status.error().code;
  };
  CHECK(code_of("model.layers.0.attn.x_bias", {4, 8}) == ErrorCode::kShapeMismatch);
  CHECK(code_of("model.layers.0.attn.x_proj.0.linear.weight", {12, 8}) == ErrorCode::kShapeMismatch);
  CHECK(code_of("model.layers.0.attn.x_proj.2.weight", {10, 8}) == ErrorCode::kShapeMismatch);
  CHECK(code_of("model.layers.0.attn.w_proj.linear.lora.0.weight", {12}) == ErrorCode::kShapeMismatch);
  WeightMap twice = weights_with("model.norm.weight", {8});
  REQUIRE(twice.insert("ln_out.weight", counting({8})).has_value());
  CHECK(use_blinkdl_names_of_fla(twice).error().code == ErrorCode::kMalformed);
}

TEST_CASE("names that flash-linear-attention's RWKV-6 does not have stay") {
  WeightMap weights = weights_with("model.layers.0.attn.unknown.weight", {2});
  REQUIRE(weights.insert("model.layers", counting({2})).has_value());
  REQUIRE(weights.insert("model.layers.0", counting({2})).has_value());
  REQUIRE(use_blinkdl_names_of_fla(weights).has_value());
  CHECK(weights.names() ==
        std::vector<std::string>{"model.layers", "model.layers.0", "model.layers.0.attn.unknown.weight"});
}

}  // namespace sutra
