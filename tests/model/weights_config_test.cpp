#include "model/weights_config.h"

#include <catch2/catch_test_macros.hpp>

#include "support/golden.h"

namespace sutra {
namespace {

using test::value_of;

WeightMap with_shapes(std::initializer_list<std::pair<const char*, Shape>> tensors) {
  WeightMap weights;
  for (const auto& [name, shape] : tensors) {
    test::require_ok(weights.insert(name, value_of(Tensor::create(Dtype::kF32, shape))));
  }
  return weights;
}

// A Mamba-2 of 8 heads of 4 channels and a convolution of `n_channels`.
WeightMap mamba2(uint64_t n_channels) {
  return with_shapes({{"backbone.embeddings.weight", {50, 16}},
                      {"backbone.layers.0.mixer.A_log", {8}},
                      {"backbone.layers.0.mixer.conv1d.weight", {n_channels, 1, 4}},
                      {"backbone.layers.0.mixer.out_proj.weight", {16, 32}}});
}

}  // namespace

TEST_CASE("the shapes of a Mamba-2 of one group tell its states, of more they do not") {
  const std::string config = value_of(config_of_weights(mamba2(32 + 2 * 128)));
  CHECK(config.find("\"state_size\": 128, \"n_groups\": 1") != std::string::npos);
  CHECK(config_of_weights(mamba2(32 + 2 * 8 * 128)).error().code == ErrorCode::kUnsupported);
  CHECK(config_of_weights(mamba2(32)).error().code == ErrorCode::kUnsupported);
}

TEST_CASE("without config.json other names are refused, and tensors that would tell are missed by name") {
  const auto llama = config_of_weights(with_shapes({{"model.layers.0.self_attn.q_proj.weight", {8, 8}}}));
  CHECK(llama.error().code == ErrorCode::kNotFound);
  CHECK(llama.error().message.find("config.json was not given") != std::string::npos);
  const auto mamba = config_of_weights(
      with_shapes({{"backbone.layers.0.mixer.x_proj.weight", {8, 8}}, {"backbone.layers.0.mixer.A_log", {8, 4}}}));
  CHECK(mamba.error().message ==
        "config.json was not given, and tensor 'backbone.layers.0.mixer.dt_proj.weight' is missing");
  const auto rwkv7 =
      config_of_weights(with_shapes({{"model.layers.0.attn.r_k", {2, 4}}, {"model.embeddings.weight", {8}}}));
  CHECK(rwkv7.error().code == ErrorCode::kShapeMismatch);
}

}  // namespace sutra
