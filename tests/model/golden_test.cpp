// Logits and states of independent implementations (float64, rounded): shared golden/models, case.json.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "support/golden.h"
#include "support/tolerance.h"

namespace sutra {
namespace {

using test::value_of;

// The issue's own figure: max error over the rms of the reference.
constexpr double kGoldenLogits = 1e-4;

struct Outcome {
  std::vector<float> logits;
  State state;
};

// All logits of `ids`, fed `chunk` tokens at a time.
Outcome run(const Engine& engine, std::span<const int32_t> ids, size_t chunk) {
  const size_t vocab_size = engine.info().vocab_size;
  Outcome out{std::vector<float>(ids.size() * vocab_size, NAN), value_of(State::create(engine.model().state_layout()))};
  for (size_t first = 0; first < ids.size(); first += chunk) {
    const size_t n = std::min(chunk, ids.size() - first);
    engine.forward(out.state, ids.subspan(first, n), LogitsWanted::kAll,
                   std::span(out.logits).subspan(first * vocab_size, n * vocab_size));
  }
  return out;
}

void check_state(const Engine& engine, const State& state, TensorMap& expected, const std::string& prefix,
                 size_t batch) {
  for (const StateField& field : engine.model().state_layout().fields) {
    CAPTURE(field.name, prefix);
    const Tensor got = value_of(publish_field(field, state));
    const Tensor* reference = expected.find(prefix + field.name);
    REQUIRE(reference != nullptr);
    const size_t n = field.n_floats();
    CHECK(test::error_over_rms(got.as<float>(), reference->as<float>().subspan(batch * n, n)) <= kGoldenLogits);
  }
}

// What --model names, the expected tensors, and the prefix lengths of its states.
void check_case(const std::string& model, const std::string& expected_path, std::vector<size_t> prefixes) {
  LoadOptions options;
  options.exact = true;
  const auto engine = test::load_engine(model, options);
  // BlinkDL's files may have a value residual for layer 0, which nothing reads.
  std::vector<std::string> unused = engine->info().unused_tensors;
  std::erase_if(unused, [](const std::string& name) { return name.starts_with("model.layers.0.attn.v_lora."); });
  CHECK(unused.empty());
  TensorMap expected = test::load_tensors(expected_path);
  const Tensor& ids_tensor = *expected.find("input_ids");
  const std::vector<int32_t> all_ids = test::ids_of(ids_tensor);
  const size_t n_batch = ids_tensor.shape()[0], n_tokens = ids_tensor.shape()[1];
  const auto all_logits = expected.find("logits")->as<float>();
  for (size_t batch = 0; batch < n_batch; ++batch) {
    CAPTURE(batch);
    const std::span ids = std::span(all_ids).subspan(batch * n_tokens, n_tokens);
    const size_t n = n_tokens * engine->info().vocab_size;
    const Outcome whole = run(*engine, ids, n_tokens);
    CHECK(test::error_over_rms(std::span<const float>(whole.logits), all_logits.subspan(batch * n, n)) <=
          kGoldenLogits);
    // Prefill == T x step, bit for bit, at every split.
    for (const size_t chunk : {size_t{1}, size_t{3}, size_t{7}}) {
      const Outcome steps = run(*engine, ids, chunk);
      CHECK(steps.logits == whole.logits);
      CHECK(std::ranges::equal(steps.state.buffer.as<float>(), whole.state.buffer.as<float>()));
    }
    for (const size_t prefix : prefixes) {
      const Outcome part = run(*engine, ids.first(prefix), prefix);
      check_state(*engine, part.state, expected, concat("state.t", prefix, "."), batch);
    }
  }

  std::vector<int32_t> ids = test::ids_of(*expected.find("greedy.prompt"));
  const size_t n_prompt = ids.size();
  const std::vector<int32_t> greedy = test::ids_of(*expected.find("greedy.tokens"));
  for (size_t i = 0; i < greedy.size(); ++i) {
    const Outcome out = run(*engine, ids, ids.size());
    const auto last = std::span(out.logits).last(engine->info().vocab_size);
    ids.push_back(static_cast<int32_t>(std::ranges::max_element(last) - last.begin()));
  }
  CHECK(std::vector<int32_t>(ids.begin() + static_cast<ptrdiff_t>(n_prompt), ids.end()) == greedy);
}

}  // namespace

TEST_CASE("rwkv7 gives the reference's logits, states and greedy tokens") {
  const std::string folder = test::golden_path("models/rwkv7");
  check_case(folder, folder + "/expected.safetensors", {1, 11, 32});
}

TEST_CASE(
    "rwkv7 from BlinkDL's .pth and from safetensors in its names gives the same, without config.json (shared data)") {
  const auto whole = test::shared_path("golden/models/rwkv7");
  if (!whole) SKIP("needs the shared golden data");
  check_case(*whole + "/model.pth", *whole + "/expected.safetensors", {1, 11, 32});
  // bf16, heads of 32
  const std::string narrow = *test::shared_path("golden/models/rwkv7-h32");
  TensorMap expected = test::load_tensors(narrow + "/expected.safetensors");
  std::vector<size_t> prefixes;
  for (size_t t = 1; t <= 64; ++t) {
    if (expected.contains(concat("state.t", t, ".att_kv"))) prefixes.push_back(t);
  }
  REQUIRE(prefixes.size() == 3);
  check_case(narrow + "/model.pth", narrow + "/expected.safetensors", prefixes);
  check_case(narrow + "/model.safetensors", narrow + "/expected.safetensors", prefixes);
}

TEST_CASE("mamba without convolution bias gives the reference's logits, states and greedy tokens") {
  const std::string folder = test::golden_path("models/mamba-noconvbias");
  TensorMap expected = test::load_tensors(folder + "/expected.safetensors");
  std::vector<size_t> prefixes;
  for (size_t t = 1; t <= 64; ++t) {
    if (expected.contains(concat("state.t", t, ".ssm"))) prefixes.push_back(t);
  }
  REQUIRE(prefixes.size() == 3);
  check_case(folder, folder + "/expected.safetensors", prefixes);
}

TEST_CASE("mamba from a GGUF file gives the same without config.json") {
  const std::string original = test::golden_path("models/mamba-noconvbias/");
  TensorMap expected = test::load_tensors(original + "expected.safetensors");
  std::vector<size_t> prefixes;
  for (size_t t = 1; t <= 64; ++t) {
    if (expected.contains(concat("state.t", t, ".ssm"))) prefixes.push_back(t);
  }
  check_case(test::golden_path("gguf/mamba.gguf"), original + "expected.safetensors", prefixes);
}

TEST_CASE("rwkv7 from a GGUF file gives llama.cpp's logits") {
  LoadOptions options;
  options.exact = true;
  const auto engine = test::load_engine(test::golden_path("gguf/rwkv7.gguf"), options);
  const TensorMap expected = test::load_tensors(test::golden_path("gguf/rwkv7.expected.safetensors"));
  const std::vector<int32_t> ids = test::ids_of(*expected.find("input_ids"));
  const Outcome out = run(*engine, ids, ids.size());
  // llama.cpp rounds the inputs of products with float16 matrices to float16.
  CHECK(test::error_over_rms(std::span<const float>(out.logits), expected.find("logits")->as<float>()) <= 1e-3);
}

TEST_CASE("mamba with a tied head gives the reference's logits, states and greedy tokens (shared data)") {
  const auto folder = test::shared_path("golden/models/mamba-tied");
  if (!folder) SKIP("needs the shared golden data");
  check_case(*folder, *folder + "/expected.safetensors", {1, 11, 32});
}

TEST_CASE("mamba with biases gives the reference's logits, states and greedy tokens (shared data)") {
  const auto folder = test::shared_path("golden/models/mamba-bias");
  if (!folder) SKIP("needs the shared golden data");
  check_case(*folder, *folder + "/expected.safetensors", {1, 10, 29});
}

TEST_CASE("the starter models give their reference logits and greedy tokens (shared data)") {
  for (const char* name : {"models/fairy-rwkv7", "models/fairy-mamba"}) {
    const auto folder = test::shared_path(name);
    if (!folder) SKIP("needs the shared models");
    CAPTURE(name);
    LoadOptions options;
    options.exact = true;
    const auto engine = test::load_engine(*folder, options);
    TensorMap reference = test::load_tensors(*folder + "/reference.safetensors");
    std::vector<int32_t> ids = test::ids_of(*reference.find("input_ids"));
    Outcome out = run(*engine, ids, ids.size());
    CHECK(test::error_over_rms(std::span<const float>(out.logits), reference.find("logits")->as<float>()) <=
          kGoldenLogits);

    std::vector<float> logits(engine->info().vocab_size);
    auto last = std::span<const float>(out.logits).last(logits.size());
    std::vector<int32_t> greedy;
    for (size_t i = 0; i < 32; ++i) {
      greedy.push_back(static_cast<int32_t>(std::ranges::max_element(last) - last.begin()));
      engine->forward(out.state, std::span(&greedy.back(), 1), LogitsWanted::kLast, logits);
      last = logits;
    }
    CHECK(greedy == test::ids_of(*reference.find("greedy")));
  }
}

}  // namespace sutra
