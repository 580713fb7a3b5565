#include "runtime/convert_folder.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "io/gguf_support.h"
#include "io/safetensors_writer.h"
#include "model/blinkdl.h"
#include "runtime/init_folder.h"
#include "runtime/quantize_folder.h"
#include "runtime/session.h"
#include "support/golden.h"
#include "support/temporary_folder.h"
#include "support/tolerance.h"

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
constexpr std::string_view kInGguf[] = {
    kRwkv7,
    kMamba,
    R"({"model_type": "falcon_mamba", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "state_size": 16,
  "layer_norm_epsilon": 1e-5, "mixer_rms_eps": 1e-5})",
    R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})",
    R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 2, "grouped_rms_norm": true})",
    R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 96,
  "num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true,
  "rope_scaling": {"rope_type": "linear", "factor": 2.0}})",
    R"({"model_type": "bamba", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 50, "intermediate_size": 96,
  "num_attention_heads": 4, "num_key_value_heads": 2, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 16,
  "mamba_d_state": 16, "partial_rotary_factor": 0.5})",
    R"({"model_type": "granitemoehybrid", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 50,
  "intermediate_size": 96, "shared_intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
  "layer_types": ["mamba", "attention", "mamba"], "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16,
  "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "logits_scaling": 2.0, "attention_multiplier": 0.0625})"};
constexpr std::string_view kOthers[] = {
    R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 2, "use_bias": true})",
    R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
  "num_attention_heads": 4, "num_key_value_heads": 2})",
    R"({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 50})",
    R"({"model_type": "rwkv5", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "model_version": "5_2"})",
    R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})",
    R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 24,
  "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8})"};

// A fresh model: matrices in F16, everything else in F32.
std::string fresh_model(const test::TemporaryFolder& folder, std::string_view config) {
  std::ofstream(folder.file("shape.json")) << config;
  std::string model = folder.file("model");
  value_of(init_folder(folder.file("shape.json"), 5, model, go_on));
  return model;
}

constexpr LoadOptions kExact{.exact = true};

std::vector<float> logits_of(const std::string& model, const LoadOptions& load = kExact) {
  FolderOptions options;
  options.load = load;
  Session session = value_of(Session::create(value_of(load_model_folder(model, options))));
  const int32_t ids[] = {1, 2, 49, 7, 7};
  value_of(session.advance(ids));
  const auto logits = session.logits();
  return {logits.begin(), logits.end()};
}

// Largest error over the rms of what is expected.
double error_of_logits(const std::vector<float>& got, const std::vector<float>& expected) {
  return test::error_over_rms(std::span<const float>(got), std::span<const float>(expected));
}

double largest_difference(const std::vector<float>& got, const std::vector<float>& expected) {
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(got[i] - expected[i])));
  }
  return largest;
}

ConvertFolderOptions as(Format format, Dtype dtype) { return {{format, dtype}, {}, {}}; }

// A fresh model in F32, in the folder "wide".
void make_wide(const test::TemporaryFolder& folder, std::string_view config) {
  const std::string model = fresh_model(folder, config);
  value_of(convert_folder(model, folder.file("wide"), as(Format::kSafetensors, Dtype::kF32), go_on));
}

// In a safetensors file of F32 tensors.
void replace_tensor(const std::string& path, std::string_view name, Tensor tensor) {
  TensorMap tensors = test::load_tensors(path);
  value_of(tensors.take(name));
  test::require_ok(tensors.insert(std::string(name), std::move(tensor)));
  std::vector<TensorSpec> specs;
  for (const std::string& one : tensors.names()) specs.push_back({one, Dtype::kF32, tensors.find(one)->shape()});
  AtomicFile file = value_of(AtomicFile::create(path));
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(file, specs));
  for (const TensorSpec& spec : specs) test::require_ok(writer.write(spec.name, tensors.find(spec.name)->view()));
  test::require_ok(file.commit());
}

Error error_of(const std::string& model, const std::string& out, const ConvertFolderOptions& options) {
  const auto report = convert_folder(model, out, options, go_on);
  REQUIRE_FALSE(report.has_value());
  return report.error();
}

}  // namespace

TEST_CASE("a model comes back from GGUF, and from there as safetensors, with the same logits") {
  for (const std::string_view config : kInGguf) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::vector<float> expected = logits_of(model);
    // A = -exp(A_log) goes through its logarithm and the platform's exponential.
    const double largest = config.contains("mamba") ? 1e-5 : 0.0;
    for (const Dtype dtype : {Dtype::kF16, Dtype::kF32}) {
      const std::string gguf = folder.file("model.gguf"), back = folder.file("back");
      const ConvertReport report = value_of(convert_folder(model, gguf, as(Format::kGguf, dtype), go_on));
      CHECK(report.n_bytes == std::filesystem::file_size(gguf));
      CHECK_FALSE(report.has_tokenizer);
      CHECK(largest_difference(logits_of(gguf), expected) <= largest);
      value_of(convert_folder(gguf, back, as(Format::kSafetensors, dtype), go_on));
      CHECK(largest_difference(logits_of(back), expected) <= largest);
    }
  }
}

TEST_CASE("GGUF keeps the special ids, and its blocks are close to the values") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  value_of(convert_folder(model, folder.file("q8.gguf"), as(Format::kGguf, Dtype::kQ8_0), go_on));
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

TEST_CASE("blocks whose rows move on the way out of GGUF make the same model, packed or not") {
  for (const std::string_view config : kInGguf) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config), gguf = folder.file("q8.gguf");
    value_of(convert_folder(model, gguf, as(Format::kGguf, Dtype::kQ8_0), go_on));
    const std::vector<float> exact = logits_of(gguf), packed = logits_of(gguf, {});
    CHECK(error_of_logits(packed, exact) < 0.03);  // blocks of 32 are packed anew, in groups of 128
    CHECK(error_of_logits(exact, logits_of(model)) < 0.1);
  }
}

TEST_CASE("what GGUF has no words for is refused before anything is written") {
  constexpr std::string_view kRefused[] = {
      R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 1, "use_bias": true})",
      R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 2})",
      R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 1, "time_step_limit": [0.01, 0.5]})",
      R"({"model_type": "falcon_mamba", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 50,
  "layer_norm_epsilon": 1e-5, "mixer_rms_eps": 1e-6})",
      R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 1, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "group_norm_epsilon": 1e-5})",
      R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50, "intermediate_size": 24,
  "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8,
  "mamba_rms_norm": true, "mamba_norm_before_gate": true})",
      R"({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 1, "intermediate_size": 96, "vocab_size": 50})"};
  for (const std::string_view config : kRefused) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config), gguf = folder.file("model.gguf");
    CHECK(error_of(model, gguf, as(Format::kGguf, Dtype::kF16)).code == ErrorCode::kUnsupported);
    CHECK_FALSE(std::filesystem::exists(gguf));
  }
}

TEST_CASE("Llama 3's rotary factors are a tensor of GGUF, and not written as safetensors from there") {
  const test::TemporaryFolder folder;
  const std::string model =
      fresh_model(folder, R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
  "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 500000.0,
  "max_position_embeddings": 1024, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
  "high_freq_factor": 4.0, "original_max_position_embeddings": 128}})");
  const std::string gguf = folder.file("model.gguf");
  value_of(convert_folder(model, gguf, as(Format::kGguf, Dtype::kF16), go_on));
  // The factors are rounded to float32, and so are the angles.
  CHECK(error_of_logits(logits_of(gguf), logits_of(model)) < 1e-6);
  CHECK(error_of(gguf, folder.file("back"), as(Format::kSafetensors, Dtype::kF16)).code == ErrorCode::kUnsupported);
}

TEST_CASE("Falcon-H1 as GGUF has the tensors of llama.cpp's converter and the config's factors in them") {
  const std::string model = test::golden_path("falcon_h1");
  const TensorMap expected = test::load_tensors(model + "/expected.safetensors");
  const std::vector<int32_t> ids = test::ids_of(*expected.find("input_ids"));
  const test::TemporaryFolder folder;
  const std::string gguf = folder.file("model.gguf");
  value_of(convert_folder(model, gguf, as(Format::kGguf, Dtype::kF32), go_on));
  const auto shapes = [](const std::string& path) {
    std::map<std::string, std::string> found;
    const GgufHeader header = value_of(test::parse_gguf_header(test::read_bytes(path)));
    for (const TensorEntry& tensor : header.tensors) found.emplace(tensor.name, tensor.shape.to_string());
    return found;
  };
  CHECK(shapes(gguf) == shapes(test::golden_path("gguf/falcon_h1.gguf")));
  const auto engine = test::load_engine(gguf, kExact);
  Session session = value_of(Session::create(engine));
  value_of(session.advance(ids));
  const auto logits = expected.find("logits")->as<float>();
  const size_t n_vocab = session.logits().size();
  CHECK(test::error_over_rms(session.logits(), logits.last(n_vocab)) < 1e-5);
}

TEST_CASE("a tied Falcon-H1 with two factors gets a head of its own in GGUF") {
  const test::TemporaryFolder folder;
  constexpr std::string_view kTied =
      R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 24,
  "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8,
  "tie_word_embeddings": true, "embedding_multiplier": 3.0, "lm_head_multiplier": 0.5)";
  for (const std::string_view more : {"}", R"(, "mamba_rms_norm": true, "mamba_norm_before_gate": false})"}) {
    const std::string model = fresh_model(folder, concat(kTied, more)), gguf = folder.file("model.gguf");
    value_of(convert_folder(model, gguf, as(Format::kGguf, Dtype::kF32), go_on));
    CHECK(error_of_logits(logits_of(gguf), logits_of(model)) < 1e-5);
  }
}

TEST_CASE("every architecture is written as safetensors under its published names") {
  for (const std::string_view config : kOthers) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::string out = folder.file("out");
    value_of(convert_folder(model, out, as(Format::kSafetensors, Dtype::kF16), go_on));
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
  }
}

TEST_CASE("a packed model becomes the float model that it stands for") {
  for (const auto& [config, bits] : {std::pair{kRwkv7, 4}, {kRwkv7, 8}, {kMamba, 4}, {kOthers[4], 4}}) {
    CAPTURE(config, bits);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::string packed = folder.file("packed"), out = folder.file("out");
    QuantizeFolderOptions options;
    options.quantize = {QuantizeOptions::Method::kRtn, bits, 32};
    value_of(quantize_folder(model, packed, options, [](const Quantizer&) { return true; }));
    value_of(convert_folder(packed, out, as(Format::kSafetensors, Dtype::kF32), go_on));
    CHECK(test::load_engine(out)->info().quantization == "float32");
    CHECK(logits_of(out) == logits_of(packed));
    if (config == kOthers[4]) continue;
    value_of(convert_folder(packed, folder.file("x.gguf"), as(Format::kGguf, Dtype::kF32), go_on));
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
  ConvertFolderOptions options = as(Format::kSafetensors, Dtype::kF32);
  options.overrides = {"group_norm_epsilon=1e-5"};
  value_of(convert_folder(model, folder.file("out"), options, go_on));
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

  const auto stopped = convert_folder(model, folder.file("x.gguf"), as(Format::kGguf, Dtype::kF16),
                                      [](size_t, size_t) { return false; });
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().code == ErrorCode::kCancelled);
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(folder.names() == std::vector<std::string>{"shape.json"});  // files; the rest are folders
}

TEST_CASE("a tensor of another shape than the model's is refused, whatever it would become") {
  struct Case {
    std::string_view config, name;
    std::vector<uint64_t> dims;
  };
  const Case cases[] = {{kMamba, "backbone.layers.0.mixer.conv1d.weight", {}},
                        {kMamba, "backbone.layers.0.norm.weight", {0}},
                        {kMamba, "backbone.layers.0.mixer.in_proj.weight", {3}},
                        {kInGguf[3], "blocks.0.att.time_maa_w1", {64}},
                        {kInGguf[3], "blocks.0.att.time_maa_w", {0}},
                        {kInGguf[5], "model.layers.0.self_attn.q_proj.weight", {3, 64}},
                        {kInGguf[5], "model.layers.0.self_attn.k_proj.bias", {0}},
                        {kInGguf[7], "model.layers.0.shared_mlp.input_linear.weight", {1, 64}}};
  for (const auto& [config, name, dims] : cases) {
    CAPTURE(name);
    const test::TemporaryFolder folder;
    make_wide(folder, config);
    const Shape shape = value_of(Shape::from_dims(dims, ZeroDims::kAllow));
    replace_tensor(folder.file("wide/model.safetensors"), name, value_of(Tensor::create(Dtype::kF32, shape)));
    CHECK(error_of(folder.file("wide"), folder.file("x.gguf"), as(Format::kGguf, Dtype::kF16)).code ==
          ErrorCode::kShapeMismatch);
    CHECK(error_of(folder.file("wide"), folder.file("out"), as(Format::kSafetensors, Dtype::kF16)).code ==
          ErrorCode::kShapeMismatch);
  }
}

TEST_CASE("a weight beyond binary16 is refused where it would become infinite") {
  const test::TemporaryFolder folder;
  constexpr std::string_view kName = "backbone.layers.1.mixer.in_proj.weight";
  make_wide(folder, kMamba);
  Tensor large = value_of(test::load_tensors(folder.file("wide/model.safetensors")).take(kName));
  large.as<float>()[77] = 70000.0f;
  replace_tensor(folder.file("wide/model.safetensors"), kName, std::move(large));

  for (const Dtype dtype : {Dtype::kF16, Dtype::kQ8_0, Dtype::kQ4_0}) {
    const Error error = error_of(folder.file("wide"), folder.file("x.gguf"), as(Format::kGguf, dtype));
    CHECK(error.code == ErrorCode::kNonFinite);
    CHECK(error.message.contains("backbone.layers.1.mixer.in_proj.weight"));
  }
  value_of(convert_folder(folder.file("wide"), folder.file("x.gguf"), as(Format::kGguf, Dtype::kF32), go_on));
}

namespace {

ModelWeights weights_of(const std::string& model, std::vector<std::string> overrides = {}) {
  FolderOptions options;
  options.overrides = std::move(overrides);
  return value_of(load_model_weights(value_of(find_model(model)), options));
}

constexpr Format kFormats[] = {Format::kSafetensors, Format::kGguf};

// What a conversion without files beside the weights would report.
ConvertReport report_of(ModelWeights weights, Format format) {
  Converter converter = value_of(Converter::create(std::move(weights), {}, {format, Dtype::kF16}));
  MemorySink sink;
  test::require_ok(converter.begin(sink));
  return converter.report();
}

}  // namespace

TEST_CASE("a model that lacks a tensor is refused before anything is written") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  for (const Format format : kFormats) {
    ModelWeights weights = weights_of(model);
    value_of(weights.weights.take("backbone.layers.1.mixer.D"));
    const auto converter = Converter::create(std::move(weights), {}, {format, Dtype::kF16});
    REQUIRE_FALSE(converter.has_value());
    CHECK(converter.error().code == ErrorCode::kNotFound);
    CHECK(converter.error().message.contains("backbone.layers.1.mixer.D"));
  }
}

TEST_CASE("a GGUF file's tokenizer that is broken is refused, one of another kind stays in GGUF alone") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba);
  const auto with_tokenizer = [&](const char* kind, std::vector<int32_t> types) {
    ModelWeights weights = weights_of(model);
    weights.tokenizer.add_text("tokenizer.ggml.model", kind);
    weights.tokenizer.add_texts("tokenizer.ggml.tokens", {"a", "b"});
    weights.tokenizer.add_i32s("tokenizer.ggml.token_type", types);
    return weights;
  };
  for (const Format format : kFormats) {
    const auto broken = Converter::create(with_tokenizer("gpt2", {1}), {}, {format, Dtype::kF16});
    REQUIRE_FALSE(broken.has_value());
    CHECK(broken.error().code == ErrorCode::kMalformed);
    CHECK(report_of(with_tokenizer("llama", {1, 1}), format).has_tokenizer == (format == Format::kGguf));
    CHECK_FALSE(report_of(with_tokenizer("none", {1, 1}), format).has_tokenizer);
  }
}

TEST_CASE("from GGUF to GGUF the ids that begin and end a text are those of the config") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kMamba), gguf = folder.file("x.gguf");
  value_of(convert_folder(model, gguf, as(Format::kGguf, Dtype::kF16), go_on));
  CHECK(weights_of(gguf).config.bos_token_id == 1);
  ConvertFolderOptions options = as(Format::kGguf, Dtype::kF16);
  options.overrides = {"bos_token_id=7", "eos_token_id=8"};
  value_of(convert_folder(gguf, folder.file("y.gguf"), options, go_on));
  const ModelWeights changed = weights_of(folder.file("y.gguf"));
  CHECK(changed.config.bos_token_id == 7);
  CHECK(changed.config.eos_token_ids == std::vector<int32_t>{8});
}

}  // namespace sutra
