#include "model/scale_groups.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <set>

#include "io/safetensors_writer.h"
#include "model/blinkdl.h"
#include "model/parameters.h"
#include "model/quantizable.h"
#include "quant/ggml_blocks.h"
#include "support/golden.h"
#include "support/random.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;
using Weights = std::map<std::string, Tensor, std::less<>>;
using Axis = ScaleFactor::Axis;

// Of the largest logit. Float32 loses some 1e-6 on the way; a fold that is not exact is off by far more.
constexpr double kSame = 1e-4;
constexpr size_t kChunks[] = {5, 4};

// A tiny model, and the quantised matrices that no group has.
struct Variant {
  const char* name;
  std::string_view json;
  std::vector<std::string> ungrouped;
};

const Variant kVariants[] = {
    {"RWKV-4",
     R"({"model_type": "rwkv", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 50})",
     {"emb"}},
    {"RWKV-5.0",
     R"({"model_type": "rwkv5", "hidden_size": 32, "num_hidden_layers": 2, "head_size": 16, "intermediate_size": 48,
         "vocab_size": 50, "model_version": "5"})",
     {"emb"}},
    {"RWKV-5.1",
     R"({"model_type": "rwkv5", "hidden_size": 32, "num_hidden_layers": 2, "head_size": 16, "intermediate_size": 48,
         "vocab_size": 50, "model_version": "5_1"})",
     {"emb"}},
    {"RWKV-5.2, tied",
     R"({"model_type": "rwkv5", "hidden_size": 32, "num_hidden_layers": 2, "head_size": 16, "intermediate_size": 48,
         "vocab_size": 50, "model_version": "5_2", "tie_word_embeddings": true})",
     {}},
    {"RWKV-6",
     R"({"model_type": "rwkv6", "hidden_size": 32, "num_hidden_layers": 2, "head_size": 16, "intermediate_size": 48,
         "vocab_size": 50, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})",
     {"emb"}},
    {"RWKV-7",
     R"({"model_type": "rwkv7", "hidden_size": 32, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 50,
         "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 12})",
     {"model.embeddings"}},
    {"RWKV-7, tied",
     R"({"model_type": "rwkv7", "hidden_size": 32, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 50,
         "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 12,
         "tie_word_embeddings": true})",
     {}},
    {"Mamba, tied", R"({"model_type": "mamba", "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 50})", {}},
    {"Mamba with biases",
     R"({"model_type": "mamba", "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 50, "use_bias": true,
         "tie_word_embeddings": false})",
     {"backbone.embeddings"}},
    {"FalconMamba",
     R"({"model_type": "falcon_mamba", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
         "tie_word_embeddings": false})",
     {"backbone.embeddings"}},
    {"Mamba-2, tied",
     R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
         "head_dim": 16, "state_size": 8, "n_groups": 2, "tie_word_embeddings": true, "grouped_rms_norm": true})",
     {}},
    {"Mamba-2 with biases",
     R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
         "head_dim": 16, "state_size": 8, "n_groups": 1, "use_bias": true})",
     {"backbone.embeddings"}},
    {"Llama with grouped queries and biases",
     R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
         "num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true})",
     {"model.embed_tokens"}},
    {"Llama, tied",
     R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
         "num_attention_heads": 4, "tie_word_embeddings": true})",
     {}},
    {"Bamba",
     R"({"model_type": "bamba", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
         "num_attention_heads": 4, "num_key_value_heads": 1, "attn_layer_indices": [1], "mamba_n_heads": 4,
         "mamba_d_state": 8, "attention_bias": true, "mamba_proj_bias": true, "mlp_bias": true})",
     {"model.embed_tokens"}},
    {"Granite hybrid, tied",
     R"({"model_type": "granitemoehybrid", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
         "shared_intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
         "layer_types": ["mamba", "attention"], "mamba_n_heads": 4, "mamba_d_state": 8, "embedding_multiplier": 3.0,
         "logits_scaling": 2.0, "residual_multiplier": 0.5, "tie_word_embeddings": true})",
     {}},
    {"Falcon-H1 without a norm in the mixer",
     R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
         "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_d_ssm": 48,
         "mamba_n_heads": 4, "mamba_d_state": 8, "ssm_multipliers": [1.5, 0.5, 2, 0.7, 1.2],
         "mlp_multipliers": [0.7, 1.3]})",
     {"model.embed_tokens", "model.layers.0.mamba.out_proj", "model.layers.1.mamba.out_proj"}},
    {"Falcon-H1, norm before gate",
     R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
         "intermediate_size": 24, "num_attention_heads": 2, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8,
         "mamba_n_groups": 2, "mamba_rms_norm": true, "mamba_norm_before_gate": true, "mlp_bias": true})",
     {"model.embed_tokens"}},
    {"Falcon-H1, gate before norm",
     R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
         "intermediate_size": 24, "num_attention_heads": 2, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8,
         "mamba_rms_norm": true, "mamba_norm_before_gate": false})",
     {"model.embed_tokens"}},
};

ModelConfig read_config(std::string_view json) {
  return value_of(read_model_config(value_of(JsonObject::parse(json, "config.json"))));
}

Tensor copy_of(const Tensor& tensor) {
  Tensor copy = value_of(Tensor::create(tensor.dtype(), tensor.shape()));
  std::ranges::copy(tensor.bytes(), copy.bytes().begin());
  return copy;
}

Weights copy_of(const Weights& weights) {
  Weights copy;
  for (const auto& [name, tensor] : weights) copy.emplace(name, copy_of(tensor));
  return copy;
}

// No tensor is as it starts in training, where ones and zeros would hide what they are multiplied with.
Weights random_weights(const ModelConfig& config, uint64_t seed) {
  test::Random random(seed);
  Rng rng(seed);
  Weights weights;
  for (const Parameter& parameter : parameters(config)) {
    Tensor tensor = value_of(Tensor::create(Dtype::kF32, parameter.shape));
    const auto values = tensor.as<float>();
    parameter.initialise(rng, values);
    const uint64_t n_in = parameter.shape[parameter.shape.n_dims() - 1];
    for (float& value : values) {
      value =
          parameter.is_matrix ? random.normal() / std::sqrt(static_cast<float>(n_in)) : value + 0.2f * random.normal();
    }
    weights.emplace(parameter.name, std::move(tensor));
  }
  return weights;
}

std::vector<ScaleGroup> all_groups(const ModelConfig& config) {
  std::vector<ScaleGroup> groups;
  for (size_t layer = 0; layer < config.n_layer(); ++layer) {
    std::ranges::move(scale_groups(config, layer), std::back_inserter(groups));
  }
  std::ranges::move(head_scale_groups(config), std::back_inserter(groups));
  return groups;
}

std::vector<float> random_scales(const ScaleGroup& group, test::Random& random) {
  std::vector<float> s(group.n_channels);
  for (float& value : s) value = std::clamp(std::exp(random.normal()), 0.2f, 5.0f);
  const std::vector<float> slots = s;
  for (size_t channel = 0; channel < group.tied.size(); ++channel) s[channel] = slots[group.tied[channel]];
  return s;
}

// All logits of two chunks.
std::vector<float> logits_of(const Model& model, size_t vocab_size) {
  ThreadPool pool(1);
  Workspace workspace = value_of(model.create_workspace(std::ranges::max(kChunks)));
  State state = value_of(State::create(model.state_layout()));
  test::Random random(11);
  std::vector<float> all;
  for (const size_t n : kChunks) {
    require_ok(state.reserve(model.state_layout(), n));
    std::vector<int32_t> ids(n);
    for (int32_t& id : ids) id = static_cast<int32_t>(random.integer(0, 49));
    std::vector<float> logits(n * vocab_size);
    model.forward(state, ids, LogitsWanted::kAll, workspace, pool, logits);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

// Of a model that uses every tensor.
std::vector<float> logits_of(const ModelConfig& config, const Weights& weights) {
  WeightMap tensors;
  for (const auto& [name, tensor] : weights) require_ok(tensors.insert(name, copy_of(tensor)));
  if (has_blinkdl_names(tensors)) require_ok(adapt_blinkdl(tensors));
  WeightOptions options;
  options.exact = true;
  const auto model = value_of(build_model(config, tensors, options));
  CHECK(tensors.names().empty());
  return logits_of(*model, config.vocab_size());
}

// The largest difference, as a share of the largest logit.
double difference(const std::vector<float>& got, const std::vector<float>& expected) {
  REQUIRE(got.size() == expected.size());
  double largest = 0, error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
    error = std::max(error, std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
  }
  return error / largest;
}

Weights scaled(const Weights& weights, const std::vector<ScaleGroup>& groups, uint64_t seed) {
  test::Random random(seed);
  Weights result = copy_of(weights);
  for (const ScaleGroup& group : groups) require_ok(apply_scales(group, random_scales(group, random), result));
  return result;
}

bool same_values(const Weights& a, const Weights& b) {
  return std::ranges::equal(a, b, [](const auto& one, const auto& other) {
    return one.first == other.first && std::ranges::equal(one.second.bytes(), other.second.bytes());
  });
}

}  // namespace

TEST_CASE("a model whose groups are all scaled gives the logits of the model that is not", "[scale_groups]") {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.name);
    const ModelConfig config = read_config(variant.json);
    const Weights weights = random_weights(config, 1);
    const Weights changed = scaled(weights, all_groups(config), 2);
    CHECK_FALSE(same_values(weights, changed));
    CHECK(difference(logits_of(config, changed), logits_of(config, weights)) <= kSame);
  }
}

TEST_CASE("every factor of every group matters: a group without it changes the logits", "[scale_groups]") {
  for (const Variant& variant : kVariants) {
    const ModelConfig config = read_config(variant.json);
    const Weights weights = random_weights(config, 3);
    const std::vector<float> expected = logits_of(config, weights);
    for (const ScaleGroup& group : all_groups(config)) {
      for (size_t i = 0; i < group.factors.size(); ++i) {
        CAPTURE(variant.name, group.factors[i].tensor);
        ScaleGroup part = group;
        part.factors.erase(part.factors.begin() + static_cast<ptrdiff_t>(i));
        CHECK(difference(logits_of(config, scaled(weights, {part}, 4)), expected) > kSame);
      }
    }
  }
}

TEST_CASE("the golden models' logits stay with all groups scaled (shared data)", "[scale_groups]") {
  const auto models = test::shared_path("golden/models");
  if (!models) SKIP("needs the shared golden data");
  for (const char* name :
       {"falcon_mamba", "hybrid-bamba", "hybrid-granitemoehybrid", "llama-gqa", "mamba-bias", "mamba-noconvbias",
        "mamba-tied", "mamba2-dtlimit", "mamba2-g1", "mamba2-g2", "rwkv4", "rwkv5/model.pth", "rwkv5-h64/model.pth",
        "rwkv6/model.pth", "rwkv6-h64/model.pth", "rwkv7/model.pth", "rwkv7-h32/model.pth"}) {
    CAPTURE(name);
    FolderOptions options;
    options.load.weights_only = true;
    const ModelWeights model = value_of(load_model_weights(value_of(find_model(concat(*models, '/', name))), options));
    Weights weights;
    for (const Parameter& parameter : parameters(model.config)) {
      CAPTURE(parameter.name);
      const Tensor* const tensor = model.weights.find(parameter.name);
      REQUIRE(tensor != nullptr);
      weights.emplace(parameter.name, value_of(widen(tensor->view())));
    }
    const Weights changed = scaled(weights, all_groups(model.config), 5);
    CHECK(difference(logits_of(model.config, changed), logits_of(model.config, weights)) <= kSame);
  }
}

TEST_CASE("every quantised matrix is in one group, but for those that have none", "[scale_groups]") {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.name);
    const ModelConfig config = read_config(variant.json);
    std::set<std::string> shapes;
    for (const Parameter& parameter : parameters(config)) shapes.insert(parameter.name);
    std::multiset<std::string> expected(variant.ungrouped.begin(), variant.ungrouped.end());
    std::multiset<std::string> grouped(expected);
    for (const ScaleGroup& group : all_groups(config)) {
      grouped.insert(group.linears.begin(), group.linears.end());
      for (const std::string& linear : group.linears) {
        CAPTURE(linear);
        CHECK(std::ranges::count_if(group.factors, [&](const ScaleFactor& factor) {
                return factor.tensor == linear + ".weight" && factor.axis == Axis::kLast && factor.power == 1;
              }) == 1);
      }
    }
    std::multiset<std::string> quantised;
    for (const std::string& name : quantizable_linears(config)) {
      if (shapes.contains(name + ".weight")) quantised.insert(name);
    }
    CHECK(grouped == quantised);
  }
}

TEST_CASE("no group scales rows of a matrix after the group that scales its columns", "[scale_groups]") {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.name);
    std::set<std::string> done;
    for (const ScaleGroup& group : all_groups(read_config(variant.json))) {
      for (const ScaleFactor& factor : group.factors) {
        CAPTURE(factor.tensor);
        if (factor.axis == Axis::kFirst) CHECK_FALSE(done.contains(factor.tensor));
      }
      for (const std::string& linear : group.linears) done.insert(linear + ".weight");
    }
  }
}

TEST_CASE("grouped queries: channels that read one head of values are tied", "[scale_groups]") {
  const ModelConfig config = read_config(
      R"({"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 50, "intermediate_size": 8,
          "num_attention_heads": 4, "num_key_value_heads": 2})");
  const std::vector<ScaleGroup> groups = scale_groups(config, 0);
  const auto output =
      std::ranges::find(groups, std::vector<std::string>{"model.layers.0.self_attn.o_proj"}, &ScaleGroup::linears);
  REQUIRE(output != groups.end());
  CHECK(output->n_channels == 8);
  CHECK(output->tied == std::vector<uint32_t>{0, 1, 0, 1, 2, 3, 2, 3});
}

TEST_CASE("apply_scales multiplies columns, rows, vectors of any shape and new vectors", "[scale_groups]") {
  const auto tensor = [](const Shape& shape) {
    Tensor t = value_of(Tensor::create(Dtype::kF32, shape));
    std::ranges::fill(t.as<float>(), 1.0f);
    return t;
  };
  const auto values = [](const Tensor& t) { return std::vector<float>(t.as<float>().begin(), t.as<float>().end()); };
  Weights weights;
  weights.emplace("columns", tensor({2, 2}));
  weights.emplace("rows", tensor({2, 3}));
  weights.emplace("second_half", tensor({4, 2}));
  weights.emplace("vector", tensor({1, 1, 2}));
  ScaleGroup group;
  group.n_channels = 2;
  group.factors = {{"columns", Axis::kLast, 1},
                   {"rows", Axis::kFirst, -0.5f},
                   {"second_half", Axis::kFirst, -1, false, 2},
                   {"vector", Axis::kFirst, -1},
                   {"fresh", Axis::kFirst, -1, true}};
  require_ok(apply_scales(group, std::vector<float>{4, 0.25f}, weights));
  CHECK(values(weights.at("columns")) == std::vector<float>{4, 0.25f, 4, 0.25f});
  CHECK(values(weights.at("rows")) == std::vector<float>{0.5f, 0.5f, 0.5f, 2, 2, 2});
  CHECK(values(weights.at("second_half")) == std::vector<float>{1, 1, 1, 1, 0.25f, 0.25f, 4, 4});
  CHECK(values(weights.at("vector")) == std::vector<float>{0.25f, 4});
  CHECK(weights.at("fresh").shape() == Shape{2});
  CHECK(values(weights.at("fresh")) == std::vector<float>{0.25f, 4});
  // A second time: scales multiply.
  require_ok(apply_scales(group, std::vector<float>{0.5f, 2}, weights));
  CHECK(values(weights.at("fresh")) == std::vector<float>{0.5f, 2});

  ScaleGroup tied;
  tied.n_channels = 4;
  tied.tied = {0, 1, 0, 1};
  tied.factors = {{"columns", Axis::kLast, 1}, {"values", Axis::kFirst, -1}};
  weights.insert_or_assign("columns", tensor({1, 4}));
  weights.insert_or_assign("values", tensor({2, 1}));
  require_ok(apply_scales(tied, std::vector<float>{2, 4, 2, 4}, weights));
  CHECK(values(weights.at("columns")) == std::vector<float>{2, 4, 2, 4});
  CHECK(values(weights.at("values")) == std::vector<float>{0.5f, 0.25f});
}

TEST_CASE("apply_scales refuses missing tensors and wrong shapes by name and changes nothing", "[scale_groups]") {
  test::Random random(6);
  for (const Variant& variant : kVariants) {
    const ModelConfig config = read_config(variant.json);
    for (const ScaleGroup& group : all_groups(config)) {
      const std::vector<float> s = random_scales(group, random);
      for (const ScaleFactor& factor : group.factors) {
        if (factor.is_new) continue;
        CAPTURE(variant.name, factor.tensor);
        Weights weights = random_weights(config, 7);
        weights.erase(factor.tensor);
        const Weights without = copy_of(weights);
        const Status missing = apply_scales(group, s, weights);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == ErrorCode::kNotFound);
        CHECK(missing.error().message.contains(factor.tensor));
        CHECK(same_values(weights, without));
        weights.insert_or_assign(factor.tensor, value_of(Tensor::create(Dtype::kF32, {7, 5})));
        const Status wrong = apply_scales(group, s, weights);
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().code == ErrorCode::kShapeMismatch);
        CHECK(wrong.error().message.contains(factor.tensor));
      }
    }
  }
}

TEST_CASE("files with the vectors that scaling adds load, use them all and give the same logits", "[scale_groups]") {
  const std::pair<std::string_view, bool> cases[] = {
      {R"({"model_type": "mamba", "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 50})", false},
      {R"({"model_type": "mamba", "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 50})", true},
      {R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
           "num_attention_heads": 4, "tie_word_embeddings": true})",
       true}};
  for (const auto& [json, with_config] : cases) {
    CAPTURE(json, with_config);
    const ModelConfig config = read_config(json);
    const Weights weights = random_weights(config, 8);
    const Weights changed = scaled(weights, all_groups(config), 9);
    std::vector<TensorSpec> specs;
    for (const auto& [name, tensor] : changed) specs.push_back({name, Dtype::kF32, tensor.shape()});
    const test::TemporaryFolder folder;
    AtomicFile file = value_of(AtomicFile::create(folder.file("model.safetensors")));
    SafetensorsWriter writer = value_of(SafetensorsWriter::create(file, specs));
    for (const auto& [name, tensor] : changed) require_ok(writer.write(name, tensor.view()));
    require_ok(writer.finish());
    require_ok(file.commit());
    if (with_config) require_ok(write_file_atomically(folder.file("config.json"), std::as_bytes(std::span(json))));

    LoadOptions options;
    options.exact = true;
    const auto engine = test::load_engine(folder.path(), options);
    CHECK(engine->info().unused_tensors.empty());
    CHECK(difference(logits_of(engine->model(), config.vocab_size()), logits_of(config, weights)) <= kSame);
  }
}

}  // namespace sutra
