#include "runtime/quantizer.h"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "model/parameters.h"
#include "runtime/convert_folder.h"
#include "runtime/init_folder.h"
#include "runtime/quantize_folder.h"
#include "runtime/quantizer_checkpoint.h"
#include "runtime/session.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/random.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::value_of;
using Method = QuantizeOptions::Method;

constexpr std::string_view kConfigs[] = {
    R"({"model_type": "rwkv7", "hidden_size": 64, "num_hidden_layers": 2, "head_dim": 32, "vocab_size": 48,
  "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 16})",
    R"({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 48})",
    R"({"model_type": "rwkv5", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 48, "model_version": "5_2"})",
    R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 48, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})",
    R"({"model_type": "mamba", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 48, "state_size": 16})",
    R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 48, "num_heads": 4,
  "head_dim": 16, "state_size": 16, "n_groups": 2})",
    R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 48, "intermediate_size": 96,
  "num_attention_heads": 4, "num_key_value_heads": 2})",
    R"({"model_type": "bamba", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 48, "intermediate_size": 96,
  "num_attention_heads": 4, "num_key_value_heads": 2, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 16,
  "mamba_d_state": 16, "partial_rotary_factor": 0.5})"};

std::string fresh_model(const test::TemporaryFolder& folder, std::string_view config) {
  const std::string shape = folder.file("shape.json"), model = folder.file("float");
  std::ofstream(shape) << config;
  value_of(init_folder(shape, 7, model, [](size_t, size_t) { return true; }));
  return model;
}

ModelWeights weights_of(const std::string& model) {
  return value_of(load_model_weights(value_of(find_model(model)), FolderOptions()));
}

ModelConfig config_of(const std::string& model) { return weights_of(model).config; }

Sequences random_sequences() {
  test::Random random(20261122);
  Sequences sequences;
  for (int i = 0; i < 6; ++i) {
    std::vector<int32_t>& ids = sequences.emplace_back();
    for (int t = 0; t < 100; ++t) ids.push_back(static_cast<int32_t>(random.integer(0, 47)));
  }
  return sequences;
}

Result<Quantizer> make(const std::string& model, Method method, Sequences sequences, size_t group_size = 32) {
  return Quantizer::create(weights_of(model), Companions(), std::move(sequences), {method, 4, group_size}, 2);
}

// The file with the weights.
std::vector<std::byte> file_of(Quantizer quantizer) {
  MemorySink sink;
  test::require_ok(quantizer.begin(sink));
  while (value_of(quantizer.step())) continue;
  return {sink.bytes().begin(), sink.bytes().end()};
}

// Runs it to its end and writes the folder.
QuantizeReport write(Quantizer& quantizer, const std::string& out) {
  std::filesystem::create_directories(out);
  MemorySink sink;
  test::require_ok(quantizer.begin(sink));
  double fraction = 0;
  for (bool more = true; more;) {
    more = value_of(quantizer.step());
    CHECK(quantizer.fraction() >= fraction);
    fraction = quantizer.fraction();
  }
  CHECK(sink.bytes().size() == quantizer.file_bytes());
  std::ofstream(out + "/model.safetensors", std::ios::binary)
      .write(reinterpret_cast<const char*>(sink.bytes().data()), static_cast<std::streamsize>(sink.bytes().size()));
  for (const NamedText& file : quantizer.files_beside()) std::ofstream(out + "/" + file.name) << file.text;
  return quantizer.report();
}

std::vector<float> logits_of(const std::string& model) {
  const auto engine = test::load_engine(model, {.exact = true});
  CHECK(engine->info().unused_tensors.empty());
  const std::vector<int32_t> ids = random_sequences()[1];
  State state = value_of(State::create(engine->model().state_layout()));
  std::vector<float> logits(32 * engine->info().vocab_size);
  test::require_ok(engine->reserve(state, 32));
  engine->forward(state, std::span(ids).first(32), LogitsWanted::kAll, logits);
  return logits;
}

double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

}  // namespace

TEST_CASE("AWQ of every architecture loads, and its outputs have less error than rounded ones") {
  for (const std::string_view config : kConfigs) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    Quantizer rtn = value_of(make(model, Method::kRtn, {}));
    Quantizer awq = value_of(make(model, Method::kAwq, random_sequences()));
    write(rtn, folder.file("rtn"));
    const QuantizeReport report = write(awq, folder.file("awq"));
    CHECK(report.n_calibration_tokens == 600);
    CHECK(report.compression > 6);
    const std::vector<float> expected = logits_of(model);
    const double of_rtn = rms_difference(logits_of(folder.file("rtn")), expected);
    const double of_awq = rms_difference(logits_of(folder.file("awq")), expected);
    // Of random weights; what is left of it in the logits differs from model to model.
    CHECK(of_awq < 1.5 * of_rtn);
    double error = 0, error_rtn = 0;
    for (const QuantizedTensor& tensor : report.tensors) {
      error += tensor.error;
      error_rtn += tensor.error_rtn;
    }
    CHECK(error < 0.97 * error_rtn);
  }
}

TEST_CASE("8 bits lose less than 4, these less than 3, and GPTQ's rounding less than the nearest one") {
  for (const std::string_view config : {kConfigs[0], kConfigs[1], kConfigs[4]}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const std::vector<float> expected = logits_of(model);
    const auto error_of = [&](Method method, int bits) {
      Quantizer quantizer =
          value_of(Quantizer::create(weights_of(model), Companions(), random_sequences(), {method, bits, 32}, 2));
      const QuantizeReport report = write(quantizer, folder.file("out"));
      double error = 0, error_rtn = 0;
      for (const QuantizedTensor& tensor : report.tensors) {
        if (!tensor.kept_because.empty()) continue;
        CHECK(tensor.bits == bits);
        CHECK(tensor.group_size == 32);
        CHECK(!tensor.ratio);
        error += tensor.error;
        error_rtn += tensor.error_rtn;
      }
      if (method == Method::kGptq) CHECK(error < 0.97 * error_rtn);
      CHECK(report.compression > (bits == 8 ? 3.5 : 6.5));
      return rms_difference(logits_of(folder.file("out")), expected);
    };
    const double of_4 = error_of(Method::kRtn, 4), of_8 = error_of(Method::kRtn, 8), of_3 = error_of(Method::kRtn, 3);
    CHECK(of_8 < 0.15 * of_4);
    CHECK(1.5 * of_4 < of_3);
    CHECK(error_of(Method::kGptq, 4) < 1.5 * of_4);  // as above
  }
}

TEST_CASE("the number of threads changes nothing of the model") {
  // An odd number of sequences, and of different lengths: some lanes end before others.
  Sequences sequences = random_sequences();
  sequences.pop_back();
  constexpr std::array<size_t, 5> kLengths = {33, 100, 1, 64, 70};
  for (size_t i = 0; i < sequences.size(); ++i) sequences[i].resize(kLengths[i]);
  for (const std::string_view config : kConfigs) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    std::vector<std::byte> expected;
    for (const size_t n_threads : {size_t{1}, size_t{2}, size_t{3}, size_t{5}}) {
      CAPTURE(n_threads);
      const std::vector<std::byte> file = file_of(
          value_of(Quantizer::create(weights_of(model), Companions(), sequences, {Method::kAwq, 4, 32}, n_threads)));
      if (n_threads == 1) expected = file;
      CHECK(file == expected);
    }
  }
}

TEST_CASE("an embedding that is only looked up has groups of 32") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[0]);
  Quantizer quantizer = value_of(make(model, Method::kRtn, {}, 64));
  const QuantizeReport report = write(quantizer, folder.file("out"));
  CHECK(report.tensors.front().name == "model.embeddings.weight");
  CHECK(report.tensors.front().group_size == 32);
  CHECK(report.tensors.back().name == "lm_head.weight");
  CHECK(report.tensors.back().group_size == 64);
  // Groups of 32 for all differ from this in other matrices only.
  CHECK(rms_difference(logits_of(folder.file("out")), logits_of(model)) < 0.5);
}

TEST_CASE("embeddings and head can stay as they are") {
  for (const std::string_view config : {kConfigs[0], kConfigs[4], kConfigs[6]}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    Quantizer quantizer = value_of(
        Quantizer::create(weights_of(model), Companions(), random_sequences(), {Method::kAwq, 4, 32, true}, 2));
    const QuantizeReport report = write(quantizer, folder.file("out"));
    size_t n_kept = 0;
    for (const QuantizedTensor& tensor : report.tensors) {
      if (tensor.kept_because == "embeddings and head are to be kept") ++n_kept;
      // Nothing is new where others would not know it.
      CHECK((!tensor.name.ends_with("_scale") || tensor.name.ends_with("out_scale")));
    }
    CHECK(n_kept == (config == kConfigs[4] ? 1 : 2));  // Mamba's are one
    std::ifstream file(folder.file("out") + "/config.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const Parameter& parameter : parameters(config_of(folder.file("out")))) {
      if (parameter.layer || !parameter.is_matrix) continue;
      const std::string module = parameter.name.substr(0, parameter.name.find(".weight"));
      CHECK(text.find("\"" + module + "\"") != std::string::npos);
    }
    CHECK(rms_difference(logits_of(folder.file("out")), logits_of(model)) < 0.5);
  }
}

TEST_CASE("a shorter group at the end, and matrices that no group fits, stay as they are") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[1]);  // ffn.value has 96 inputs
  Quantizer quantizer = value_of(make(model, Method::kAwq, random_sequences(), 64));
  const QuantizeReport report = write(quantizer, folder.file("out"));
  size_t n_kept = 0;
  for (const QuantizedTensor& tensor : report.tensors) {
    if (!tensor.name.ends_with("feed_forward.value.weight")) continue;
    ++n_kept;
    CHECK(tensor.bits == 16);
    CHECK(tensor.kept_because == "96 inputs are not a multiple of the group size 64");
  }
  CHECK(n_kept == 2);
  CHECK(rms_difference(logits_of(folder.file("out")), logits_of(model)) < 0.5);
}

TEST_CASE("what cannot be quantised is refused") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[0]);
  const auto code_of = [](const Result<Quantizer>& result) {
    REQUIRE(!result);
    return result.error().code;
  };
  CHECK(code_of(make(model, Method::kAwq, {})) == ErrorCode::kInvalidArgument);
  CHECK(code_of(make(model, Method::kAwq, {{}, {}})) == ErrorCode::kInvalidArgument);
  CHECK(code_of(make(model, Method::kAwq, {{1, 48}})) == ErrorCode::kInvalidArgument);
  CHECK(code_of(make(model, Method::kAwq, {{-1}})) == ErrorCode::kInvalidArgument);
  CHECK(code_of(Quantizer::create(weights_of(model), Companions(), {}, {Method::kRtn, 5, 32}, 1)) ==
        ErrorCode::kInvalidArgument);
  CHECK(code_of(make(model, Method::kGptq, {})) == ErrorCode::kInvalidArgument);
  CHECK(code_of(make(model, Method::kRtn, {}, 48)) == ErrorCode::kInvalidArgument);
  // Of GGUF files only, and nothing in config.json says them.
  ModelWeights with_factors = weights_of(model);
  Tensor factors = value_of(Tensor::create(Dtype::kF32, {16}));
  test::require_ok(with_factors.weights.insert("rope_freqs.weight", std::move(factors)));
  CHECK(code_of(Quantizer::create(std::move(with_factors), Companions(), {}, {Method::kRtn, 4, 32}, 1)) ==
        ErrorCode::kUnsupported);
  Quantizer rtn = value_of(make(model, Method::kRtn, {}));
  write(rtn, folder.file("rtn"));
  CHECK(code_of(make(folder.file("rtn"), Method::kRtn, {})) == ErrorCode::kInvalidArgument);
}

TEST_CASE("weights and activations that are not finite end the work with their name") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[4]);
  const auto error_of = [&](Method method, std::string_view tensor, float value) {
    ModelWeights weights = weights_of(model);
    Tensor changed = value_of(weights.weights.take(tensor));
    changed.as<float>()[0] = value;
    test::require_ok(weights.weights.insert(std::string(tensor), std::move(changed)));
    Sequences sequences = method == Method::kAwq ? random_sequences() : Sequences();
    Quantizer quantizer =
        value_of(Quantizer::create(std::move(weights), Companions(), std::move(sequences), {method, 4, 32}, 1));
    MemorySink sink;
    Status begun = quantizer.begin(sink);
    while (begun) {
      const Result<bool> more = quantizer.step();
      if (!more)
        begun = std::unexpected(more.error());
      else if (!*more)
        break;
    }
    REQUIRE(!begun);
    return begun.error();
  };
  const Error weight = error_of(Method::kRtn, "backbone.layers.1.mixer.D", NAN);
  CHECK(weight.code == ErrorCode::kNonFinite);
  CHECK(weight.message.find("backbone.layers.1.mixer.D") != std::string::npos);
  const Error activation = error_of(Method::kAwq, "backbone.layers.1.norm.weight", 1e30f);
  CHECK(activation.code == ErrorCode::kNonFinite);
  CHECK(activation.message.find("backbone.layers.1.mixer.in_proj") != std::string::npos);
}

TEST_CASE("calibration text: pieces spread over it, all of a short one, an error for too little") {
  const auto path = test::shared_path("models/fairy-rwkv7/tokenizer.json");
  if (!path) SKIP("needs the shared models");
  const text::Tokenizer tokenizer = value_of(load_tokenizer(*path));
  std::string sentence = "Once upon a time there was a king. ", text;
  for (int i = 0; i < 2000; ++i) text += sentence;
  const Sequences many = value_of(calibration_sequences(tokenizer, text, {4, 100}));
  REQUIRE(many.size() == 4);
  for (const std::vector<int32_t>& ids : many) CHECK(ids.size() == 100);
  const std::string_view little = std::string_view(text).substr(0, sentence.size() * 40);
  size_t n_tokens = 0;
  for (const std::vector<int32_t>& ids : value_of(calibration_sequences(tokenizer, little, {64, 512}))) {
    n_tokens += ids.size();
  }
  CHECK(n_tokens >= tokenizer.encode(little, false).ids.size());
  CHECK(n_tokens <= tokenizer.encode(little, false).ids.size() + 64);
  const auto nothing = calibration_sequences(tokenizer, sentence, {64, 512});
  REQUIRE(!nothing);
  CHECK(nothing.error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("rows in two bytes keep eleven bits whatever their size") {
  HalfRows rows = value_of(HalfRows::create(3, 4));
  const std::vector<float> large = {3e38f, -1e38f, 0.0f, 1e35f}, small = {1e-30f, 2e-30f, -3e-30f, 0.0f}, zero(4);
  rows.put(0, large);
  rows.put(1, small);
  rows.put(2, zero);
  std::vector<float> got(4);
  for (const auto& [row, expected] : {std::pair{0, &large}, {1, &small}, {2, &zero}}) {
    rows.get(static_cast<size_t>(row), got);
    for (size_t i = 0; i < 4; ++i) CHECK(std::fabs(got[i] - (*expected)[i]) <= std::fabs((*expected)[0]) * 0x1p-11f);
  }
}

namespace {

TensorMap tensors_in(const std::vector<std::byte>& file) {
  CheckpointReader reader(file.size());
  test::require_ok(reader.feed(file));
  return value_of(reader.finish());
}

// Quantises weights whose matrices of more than 4 KiB stay in the file, given when they are asked for.
std::vector<std::byte> quantised_in_places(const std::string& model, const Sequences& sequences = random_sequences(),
                                           bool keep_embeddings = false) {
  LeftMatrices left(kMatrixHeadBytes + 1);
  FolderOptions options;
  options.load.filter = &left;
  const ModelPaths paths = value_of(find_model(model));
  std::vector<std::vector<std::byte>> files;
  for (const std::string& path : paths.weights) files.push_back(test::read_bytes(path));
  ModelWeights weights = value_of(load_model_weights(paths, options));
  weights.places = left.take_places();
  CHECK(weights.places.size() >= weights.config.n_layer());
  Quantizer quantizer = value_of(
      Quantizer::create(std::move(weights), Companions(), sequences, {Method::kAwq, 4, 32, keep_embeddings}, 2));
  MemorySink sink;
  test::require_ok(quantizer.begin(sink));
  do {
    for (auto wanted = quantizer.wanted(); wanted.range.size > 0; wanted = quantizer.wanted()) {
      const std::span<const std::byte> file = files[wanted.file];
      test::require_ok(quantizer.give(
          file.subspan(static_cast<size_t>(wanted.range.offset), static_cast<size_t>(wanted.range.size))));
    }
  } while (value_of(quantizer.step()));
  return {sink.bytes().begin(), sink.bytes().end()};
}

std::vector<std::byte> quantised_at_once(const std::string& model, const Sequences& sequences = random_sequences(),
                                         bool keep_embeddings = false) {
  return file_of(value_of(
      Quantizer::create(weights_of(model), Companions(), sequences, {Method::kAwq, 4, 32, keep_embeddings}, 2)));
}

}  // namespace

TEST_CASE("matrices that stay in their files until their turn make the same model") {
  for (const std::string_view config : kConfigs) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    CHECK(quantised_in_places(model) == quantised_at_once(model));
    ConvertFolderOptions options;
    options.convert.format = ConvertOptions::Format::kGguf;
    const std::string gguf = folder.file("model.gguf");
    // Some architectures have no place in one.
    if (!convert_folder(model, gguf, options, [](size_t, size_t) { return true; })) continue;
    CHECK(quantised_in_places(gguf) == quantised_at_once(gguf));
  }
}

TEST_CASE("what GGUF's names change never stays in the file") {
  ConvertFolderOptions options;
  options.convert.format = ConvertOptions::Format::kGguf;
  const auto gguf_of = [&](const test::TemporaryFolder& folder, std::string_view config) {
    std::string gguf = folder.file("model.gguf");
    value_of(convert_folder(fresh_model(folder, config), gguf, options, [](size_t, size_t) { return true; }));
    return gguf;
  };
  // A convolution that is a matrix there, and large enough.
  const test::TemporaryFolder mamba;
  std::string wide(kConfigs[4]);
  wide.replace(wide.find(": 64"), 4, ": 192");
  const std::string gguf = gguf_of(mamba, wide);
  CHECK(quantised_in_places(gguf) == quantised_at_once(gguf));
  // Layers that the model has no use for.
  const test::TemporaryFolder rwkv;
  LeftMatrices left(kMatrixHeadBytes + 1);
  FolderOptions load;
  load.load.filter = &left;
  load.overrides = {"num_hidden_layers=1"};
  const ModelWeights weights = value_of(load_model_weights(value_of(find_model(gguf_of(rwkv, kConfigs[3]))), load));
  const Tensor* const unused = weights.weights.find("blocks.1.att.time_maa_w1");
  REQUIRE(unused != nullptr);
  CHECK_FALSE(unused->place());
  CHECK(weights.weights.find("blocks.1.att.key.weight")->place());
}

TEST_CASE("embeddings and heads of many rows are read in parts, and make the same model") {
  Sequences sequences = random_sequences();
  for (size_t i = 0; i < sequences[0].size(); ++i) sequences[0][i] = static_cast<int32_t>(69999 - 700 * i);
  for (const std::string_view config : {kConfigs[0], kConfigs[4]}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    std::string large(config);
    large.replace(large.find(": 48"), 4, ": 70000");
    const std::string model = fresh_model(folder, large);
    CHECK(quantised_in_places(model, sequences) == quantised_at_once(model, sequences));
    CHECK(quantised_in_places(model, sequences, true) == quantised_at_once(model, sequences, true));
  }
}

TEST_CASE("what keeps its embeddings has no tensor that only we know") {
  size_t n_new = 0;
  for (const std::string_view config : kConfigs) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const auto names_of = [&](Method method, bool keeps) {
      const QuantizeOptions options{method, 4, 32, keeps};
      return tensors_in(
                 file_of(value_of(Quantizer::create(weights_of(model), Companions(), random_sequences(), options, 2))))
          .names();
    };
    // Rounding to nearest scales nothing.
    CHECK(names_of(Method::kAwq, true) == names_of(Method::kRtn, true));
    n_new += names_of(Method::kAwq, false).size() - names_of(Method::kRtn, false).size();
  }
  CHECK(n_new > 0);
}

// tests/oracle/transformers_awq.py shows that it has to be so.
TEST_CASE("what keeps its embeddings keeps what transformers reads by itself") {
  for (const std::string_view config : {kConfigs[4], kConfigs[5]}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    for (const bool keeps : {true, false}) {
      const TensorMap tensors = tensors_in(quantised_at_once(model, random_sequences(), keeps));
      CHECK(tensors.contains("backbone.layers.1.mixer.out_proj.weight") == keeps);
      CHECK(tensors.contains("backbone.layers.1.mixer.out_proj.qweight") != keeps);
    }
  }
}

TEST_CASE("matrices that stay in files of torch.save make the same model") {
  for (const std::string_view name :
       {"rwkv4/model_blinkdl.pth", "rwkv5/model.pth", "rwkv6-h64/model.pth", "rwkv7/model.pth"}) {
    CAPTURE(name);
    const auto path = test::shared_path(concat("golden/models/", name));
    if (!path) SKIP("needs the shared models");
    CHECK(quantised_in_places(*path) == quantised_at_once(*path));
  }
}

TEST_CASE("a file that is not what it was when the matrices were left in it ends the work") {
  const auto path = test::shared_path("golden/models/rwkv7/model.pth");
  if (!path) SKIP("needs the shared models");
  const std::vector<std::byte> file = test::read_bytes(*path);
  const auto error_of = [&](auto change) {
    LeftMatrices left(kMatrixHeadBytes + 1);
    FolderOptions options;
    options.load.filter = &left;
    ModelWeights weights = value_of(load_model_weights(value_of(find_model(*path)), options));
    weights.places = left.take_places();
    Quantizer quantizer = value_of(Quantizer::create(std::move(weights), Companions(), {}, {Method::kRtn, 4, 32}, 1));
    MemorySink sink;
    test::require_ok(quantizer.begin(sink));
    for (;;) {
      const ByteRange range = quantizer.wanted().range;
      REQUIRE(range.size > 0);
      const auto begin = file.begin() + static_cast<std::ptrdiff_t>(range.offset);
      std::vector<std::byte> bytes(begin, begin + static_cast<std::ptrdiff_t>(range.size));
      change(bytes);
      if (const Status given = quantizer.give(bytes); !given) return given.error().code;
    }
  };
  CHECK(error_of([](auto& bytes) { bytes.pop_back(); }) == ErrorCode::kTruncated);
  CHECK(error_of([](auto& bytes) { bytes[1] ^= std::byte{1}; }) == ErrorCode::kMalformed);
  CHECK(error_of([](auto& bytes) { std::ranges::fill(bytes, std::byte{0xff}); }) == ErrorCode::kNonFinite);
}

TEST_CASE("a layer of which nothing can be quantised is kept and measured by nobody") {
  const test::TemporaryFolder folder;
  // 48 inputs are no multiple of 32.
  const std::string model = fresh_model(
      folder, R"({"model_type": "mamba", "hidden_size": 48, "num_hidden_layers": 2, "vocab_size": 48, "expand": 1,
  "state_size": 16})");
  Quantizer quantizer = value_of(make(model, Method::kAwq, random_sequences()));
  MemorySink sink;
  test::require_ok(quantizer.begin(sink));
  while (value_of(quantizer.step())) continue;
  for (const QuantizedTensor& tensor : quantizer.report().tensors) {
    CAPTURE(tensor.name);
    CHECK_FALSE(tensor.kept_because.empty());
  }
  CHECK(quantizer.report().compression == 0);
}

TEST_CASE("a quantizer may be moved while it works") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[0]);
  MemorySink sink, expected;
  Quantizer straight = value_of(make(model, Method::kAwq, random_sequences()));
  test::require_ok(straight.begin(expected));
  while (value_of(straight.step())) continue;
  auto first = std::make_unique<Quantizer>(value_of(make(model, Method::kAwq, random_sequences())));
  test::require_ok(first->begin(sink));
  for (int i = 0; i < 12; ++i) value_of(first->step());
  Quantizer second = std::move(*first);
  first.reset();
  while (value_of(second.step())) continue;
  CHECK(std::ranges::equal(sink.bytes(), expected.bytes()));
}

namespace {

std::vector<std::byte> checkpoint_of(Quantizer& quantizer) {
  MemorySink sink;
  test::require_ok(quantizer.begin_checkpoint(sink));
  while (value_of(quantizer.write_checkpoint())) continue;
  return {sink.bytes().begin(), sink.bytes().end()};
}

// Vectors of one head are no multiple of 8 bytes: they come at the end of the file.
constexpr std::string_view kUneven = R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2,
  "vocab_size": 48, "num_heads": 1, "head_dim": 64, "state_size": 16, "n_groups": 1})";

}  // namespace

TEST_CASE("a quantizer goes on from a checkpoint as if it had never stopped") {
  for (const auto& [config, method] : {std::pair{kConfigs[0], Method::kAwq},
                                       {kConfigs[1], Method::kGptq},
                                       {kConfigs[4], Method::kAwq},
                                       {kConfigs[5], Method::kRtn},
                                       {kUneven, Method::kAwq}}) {
    CAPTURE(config);
    const test::TemporaryFolder folder;
    const std::string model = fresh_model(folder, config);
    const Sequences sequences = method == Method::kRtn ? Sequences() : random_sequences();
    MemorySink expected;
    Quantizer straight = value_of(make(model, method, sequences));
    test::require_ok(straight.begin(expected));
    // After how many bytes of the file each checkpoint was made.
    std::vector<std::pair<size_t, std::vector<std::byte>>> checkpoints;
    while (value_of(straight.step())) {
      if (straight.is_between_stages()) checkpoints.emplace_back(expected.bytes().size(), checkpoint_of(straight));
    }
    CHECK(checkpoints.size() == 3);  // two layers and the head
    for (const auto& [n_bytes, checkpoint] : checkpoints) {
      MemorySink sink;
      Quantizer again = value_of(make(model, method, sequences));
      test::require_ok(again.begin(sink));
      const size_t head = sink.bytes().size();
      test::require_ok(again.resume(tensors_in(checkpoint)));
      CHECK(again.written_bytes() == n_bytes);
      while (value_of(again.step())) continue;
      std::vector<std::byte> file(expected.bytes().begin(),
                                  expected.bytes().begin() + static_cast<std::ptrdiff_t>(n_bytes));
      file.insert(file.end(), sink.bytes().begin() + static_cast<std::ptrdiff_t>(head), sink.bytes().end());
      CHECK(std::ranges::equal(file, expected.bytes()));
      REQUIRE(again.report().tensors.size() == straight.report().tensors.size());
      CHECK(again.report().compression == straight.report().compression);
      for (size_t i = 0; i < again.report().tensors.size(); ++i) {
        const QuantizedTensor &a = again.report().tensors[i], &b = straight.report().tensors[i];
        CHECK(std::tie(a.name, a.bytes_before, a.bytes_after, a.bits, a.group_size, a.error, a.error_rtn, a.ratio,
                       a.duo, a.cut, a.kept_because) == std::tie(b.name, b.bytes_before, b.bytes_after, b.bits,
                                                                 b.group_size, b.error, b.error_rtn, b.ratio, b.duo,
                                                                 b.cut, b.kept_because));
      }
    }
  }
}

TEST_CASE("a checkpoint of something else, or a broken one, is refused") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[0]);
  MemorySink sink;
  Quantizer quantizer = value_of(make(model, Method::kAwq, random_sequences()));
  test::require_ok(quantizer.begin(sink));
  do value_of(quantizer.step());
  while (!quantizer.is_between_stages());
  const std::vector<std::byte> checkpoint = checkpoint_of(quantizer);
  const auto error_of = [&](Result<Quantizer> made, TensorMap tensors) {
    Quantizer fresh = value_of(std::move(made));
    MemorySink nowhere;
    test::require_ok(fresh.begin(nowhere));
    const Status resumed = fresh.resume(std::move(tensors));
    REQUIRE(!resumed);
    return resumed.error().code;
  };
  const auto same = [&] { return make(model, Method::kAwq, random_sequences()); };
  Sequences others = random_sequences();
  others[2][50] ^= 1;
  CHECK(error_of(make(model, Method::kAwq, others), tensors_in(checkpoint)) == ErrorCode::kStateMismatch);
  CHECK(error_of(make(model, Method::kGptq, random_sequences()), tensors_in(checkpoint)) == ErrorCode::kStateMismatch);
  CHECK(error_of(same(), TensorMap()) == ErrorCode::kNotFound);
  for (const std::string& name : tensors_in(checkpoint).names()) {
    CAPTURE(name);
    TensorMap lacking = tensors_in(checkpoint);
    value_of(lacking.take(name));
    // A second stream is only looked for where it begins.
    CHECK(error_of(same(), std::move(lacking)) ==
          (name == "stream.1.0" ? ErrorCode::kMalformed : ErrorCode::kNotFound));
  }
  const auto change = [&](const std::string& name, const auto& edit) {
    TensorMap tensors = tensors_in(checkpoint);
    Tensor tensor = value_of(tensors.take(name));
    edit(tensor);
    test::require_ok(tensors.insert(name, std::move(tensor)));
    return error_of(same(), std::move(tensors));
  };
  for (const int64_t stage : {int64_t{-1}, int64_t{0}, int64_t{4}, int64_t{1} << 60}) {
    CHECK(change("place", [&](Tensor& t) { t.as<int64_t>()[0] = stage; }) == ErrorCode::kMalformed);
  }
  CHECK(change("place", [](Tensor& t) { t.as<int64_t>()[1] = -1; }) == ErrorCode::kMalformed);
  for (const double plan : {-1.0, 0.5, 1e9, 1e300, double{NAN}}) {
    CHECK(change("report", [&](Tensor& t) { t.as<double>()[0] = plan; }) == ErrorCode::kMalformed);
  }
}

TEST_CASE("a checkpoint without a tensor that waits for the end of the file is refused") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kUneven);
  MemorySink sink;
  Quantizer quantizer = value_of(make(model, Method::kRtn, {}));
  test::require_ok(quantizer.begin(sink));
  // Two stages: the embeddings, of which nothing waits, and a layer.
  for (int stage = 0; stage < 2; ++stage) {
    do value_of(quantizer.step());
    while (!quantizer.is_between_stages());
  }
  const std::vector<std::byte> checkpoint = checkpoint_of(quantizer);
  std::vector<std::string> waiting = tensors_in(checkpoint).names();
  std::erase_if(waiting, [](const std::string& name) { return !name.starts_with("finished."); });
  CHECK(waiting.size() == 3);  // A_log, D, dt_bias
  for (const std::string& name : waiting) {
    CAPTURE(name);
    TensorMap lacking = tensors_in(checkpoint);
    value_of(lacking.take(name));
    Quantizer fresh = value_of(make(model, Method::kRtn, {}));
    MemorySink nowhere;
    test::require_ok(fresh.begin(nowhere));
    const Status resumed = fresh.resume(std::move(lacking));
    REQUIRE(!resumed);
    CHECK(resumed.error().code == ErrorCode::kMalformed);
  }
}

TEST_CASE("quantising that is stopped leaves nothing behind") {
  const test::TemporaryFolder folder;
  const std::string model = fresh_model(folder, kConfigs[0]), out = folder.file("out");
  QuantizeFolderOptions options;
  options.quantize = {Method::kRtn, 4, 32};
  int n_calls = 0;
  const auto stopped = quantize_folder(model, out, options, [&](const Quantizer&) { return ++n_calls < 9; });
  REQUIRE(!stopped);
  CHECK(stopped.error().code == ErrorCode::kCancelled);
  CHECK(std::filesystem::is_empty(out));
  options.quantize.method = Method::kAwq;
  const auto textless = quantize_folder(model, out, options, [](const Quantizer&) { return true; });
  REQUIRE(!textless);
  CHECK(textless.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace sutra
