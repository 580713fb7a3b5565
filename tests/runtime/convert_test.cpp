#include "runtime/convert.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "io/gguf_support.h"
#include "io/safetensors_writer.h"
#include "model/blinkdl.h"
#include "runtime/init_folder.h"
#include "runtime/quantize_folder.h"
#include "runtime/session.h"
#include "support/golden.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::value_of;
using Format = ConvertOptions::Format;

const auto go_on = [](size_t, size_t) { return true; };

constexpr std::string_view kRwkv7 =
    R"({"model_type": "rwkv7", "hidden_size": 64, "num_hidden_layers": 3, "head_dim": 32, "group_norm_epsilon": 64e-5,
  "vocab_size": 50, "decay_low_rank_dim": 8, "a_low_rank_dim": 16, "v_low_rank_dim": 8, "gate_low_rank_dim": 16})";
constexpr std::string_view kMamba =
    R"({"model_type": "mamba", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "state_size": 16,
  "bos_token_id": 1, "eos_token_id": [2, 3]})";
constexpr std::string_view kOthers[] = {
    R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 2, "use_bias": true})",
    R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
  "num_attention_heads": 4, "num_key_value_heads": 2})",
    R"({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 50})",
    R"({"model_type": "rwkv5", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "model_version": "5_2"})",
    R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})"};

// A fresh model: matrices in F16, everything else in F32.
std::string fresh_model(const test::TemporaryFolder& folder, std::string_view config) {
  std::ofstream(folder.file("shape.json")) << config;
  std::string model = folder.file("model");
  value_of(init_folder(folder.file("shape.json"), 5, model, go_on));
  return model;
}

std::vector<float> logits_of(const std::string& model) {
  FolderOptions options;
  options.load.exact = true;
  Session session = value_of(Session::create(value_of(load_model_folder(model, options))));
  const int32_t ids[] = {1, 2, 49, 7, 7};
  value_of(session.advance(ids));
  const auto logits = session.logits();
  return {logits.begin(), logits.end()};
}

ConvertOptions as(Format format, Dtype dtype) { return {format, dtype, {}, {}}; }

Error error_of(const std::string& model, const std::string& out, const ConvertOptions& options) {
  const auto report = convert_model(model, out, options, go_on);
  REQUIRE_FALSE(report.has_value());
  return report.error();
}

}  // namespace

TEST_CASE("a model comes back from GGUF, and from there as safetensors, with the same logits") {
  for (const std::string_view config : {kRwkv7, kMamba}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::vector<float> expected = logits_of(model);
    for (const Dtype dtype : {Dtype::kF16, Dtype::kF32}) {
      const std::string gguf = folder.file("model.gguf"), back = folder.file("back");
      const ConvertReport report = value_of(convert_model(model, gguf, as(Format::kGguf, dtype), go_on));
      CHECK(report.n_bytes == std::filesystem::file_size(gguf));
      CHECK_FALSE(report.has_tokenizer);
      CHECK(logits_of(gguf) == expected);
      value_of(convert_model(gguf, back, as(Format::kSafetensors, dtype), go_on));
      const std::vector<float> again = logits_of(back);
      // A_log comes back from A: the logarithm of a rounded exponential.
      double largest = 0;
      for (size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, static_cast<double>(std::abs(again[i] - expected[i])));
      }
      CHECK(largest <= (config == kMamba ? 1e-5 : 0.0));
    }
  }
}

TEST_CASE("GGUF keeps the special ids, and its blocks are close to the values") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  value_of(convert_model(model, folder.file("q8.gguf"), as(Format::kGguf, Dtype::kQ8_0), go_on));
  const auto engine = test::load_engine(folder.file("q8.gguf"));
  CHECK(engine->bos_token_id() == 1);
  CHECK(engine->is_eos(2));
  const std::vector<float> expected = logits_of(model), got = logits_of(folder.file("q8.gguf"));
  double error = 0, total = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(static_cast<double>(got[i] - expected[i]), 2);
    total += std::pow(static_cast<double>(expected[i]), 2);
  }
  CHECK(std::sqrt(error / total) < 0.02);  // a step of 8 bits is 1/127 of a block's largest value
  CHECK(error > 0);
}

TEST_CASE("every architecture is written as safetensors under its published names") {
  for (const std::string_view config : kOthers) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::string out = folder.file("out");
    value_of(convert_model(model, out, as(Format::kSafetensors, Dtype::kF16), go_on));
    const TensorMap expected = test::load_tensors(model + "/model.safetensors");
    const TensorMap got = test::load_tensors(out + "/model.safetensors");
    // RWKV-4 is made under BlinkDL's names and written under transformers'.
    const bool is_rwkv4 = config.contains("\"rwkv\"");
    CHECK(got.size() == expected.size());
    for (const std::string& name : expected.names()) {
      CAPTURE(name);
      const Tensor* const tensor = got.find(is_rwkv4 ? transformers_name(name) : name);
      REQUIRE(tensor != nullptr);
      CHECK(tensor->shape() == expected.find(name)->shape());
      CHECK(std::ranges::equal(tensor->bytes(), expected.find(name)->bytes()));
    }
    CHECK(logits_of(out) == logits_of(model));
    const Error error = error_of(model, folder.file("x.gguf"), as(Format::kGguf, Dtype::kF16));
    CHECK(error.code == ErrorCode::kUnsupported);
    CHECK_FALSE(std::filesystem::exists(folder.file("x.gguf")));
  }
}

TEST_CASE("a model in 4 bits becomes the float model that it stands for") {
  for (const std::string_view config : {kRwkv7, kMamba, kOthers[4]}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::string packed = folder.file("packed"), out = folder.file("out");
    value_of(quantize_folder(model, packed, {32}, [](size_t, size_t, const auto&) { return true; }));
    value_of(convert_model(packed, out, as(Format::kSafetensors, Dtype::kF32), go_on));
    CHECK(test::load_engine(out)->info().quantization == "float32");
    CHECK(logits_of(out) == logits_of(packed));
    if (config == kOthers[4]) continue;
    value_of(convert_model(packed, folder.file("x.gguf"), as(Format::kGguf, Dtype::kF32), go_on));
    CHECK(logits_of(folder.file("x.gguf")) == logits_of(packed));
  }
}

TEST_CASE("RWKV-4 gets transformers' names") {
  CHECK(transformers_name("emb.weight") == "rwkv.embeddings.weight");
  CHECK(transformers_name("blocks.0.ln0.bias") == "rwkv.blocks.0.pre_ln.bias");
  CHECK(transformers_name("blocks.11.att.time_mix_r") == "rwkv.blocks.11.attention.time_mix_receptance");
  CHECK(transformers_name("blocks.3.att.time_decay") == "rwkv.blocks.3.attention.time_decay");
  CHECK(transformers_name("blocks.3.ffn.key.weight") == "rwkv.blocks.3.feed_forward.key.weight");
  CHECK(transformers_name("ln_out.weight") == "rwkv.ln_out.weight");
  CHECK(transformers_name("head.weight") == "head.weight");
}

TEST_CASE("overrides are written into config.json") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kOthers[3]);
  ConvertOptions options = as(Format::kSafetensors, Dtype::kF32);
  options.overrides = {"group_norm_epsilon=1e-5"};
  value_of(convert_model(model, folder.file("out"), options, go_on));
  std::ifstream file(folder.file("out/config.json"));
  const auto config = nlohmann::json::parse(file);
  CHECK(config.at("group_norm_epsilon") == 1e-5);
  CHECK(config.at("hidden_size") == 64);
}

TEST_CASE("what cannot be converted is an error, and nothing is left behind") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  const std::string out = folder.file("out");
  CHECK(error_of(model, out, as(Format::kSafetensors, Dtype::kQ8_0)).code == ErrorCode::kInvalidArgument);

  const auto stopped =
      convert_model(model, folder.file("x.gguf"), as(Format::kGguf, Dtype::kF16), [](size_t, size_t) { return false; });
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().code == ErrorCode::kCancelled);
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(folder.names() == std::vector<std::string>{"shape.json"});  // files; the rest are folders
}

TEST_CASE("a weight beyond binary16 is refused where it would become infinite") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  // F32 from here on, with one large weight.
  value_of(convert_model(model, folder.file("wide"), as(Format::kSafetensors, Dtype::kF32), go_on));
  const std::string path = folder.file("wide/model.safetensors");
  TensorMap tensors = test::load_tensors(path);
  Tensor large = value_of(tensors.take("backbone.layers.1.mixer.in_proj.weight"));
  large.as<float>()[77] = 70000.0f;
  test::require_ok(tensors.insert("backbone.layers.1.mixer.in_proj.weight", std::move(large)));
  std::vector<TensorSpec> specs;
  for (const std::string& name : tensors.names()) specs.push_back({name, Dtype::kF32, tensors.find(name)->shape()});
  AtomicFile file = value_of(AtomicFile::create(path));
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(file, specs));
  for (const TensorSpec& spec : specs) test::require_ok(writer.write(spec.name, tensors.find(spec.name)->view()));
  test::require_ok(file.commit());

  for (const Dtype dtype : {Dtype::kF16, Dtype::kQ8_0, Dtype::kQ4_0}) {
    const Error error = error_of(folder.file("wide"), folder.file("x.gguf"), as(Format::kGguf, dtype));
    CHECK(error.code == ErrorCode::kNonFinite);
    CHECK(error.message.contains("backbone.layers.1.mixer.in_proj.weight"));
  }
  value_of(convert_model(folder.file("wide"), folder.file("x.gguf"), as(Format::kGguf, Dtype::kF32), go_on));
}

}  // namespace sutra
