// Models that hold a part of themselves each: layer by layer they compute what the whole computes.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <initializer_list>

#include "model/blinkdl.h"
#include "model/model.h"
#include "support/golden.h"
#include "support/tolerance.h"

namespace sutra {
namespace {

using test::value_of;

ModelWeights load_weights(const std::string& model) {
  FolderOptions options;
  options.load.weights_only = true;
  ModelWeights loaded = value_of(load_model_weights(value_of(find_model(model)), options));
  if (has_blinkdl_names(loaded.weights)) test::require_ok(adapt_blinkdl(loaded.weights));
  // BlinkDL's files may have a value residual for layer 0, which nothing reads.
  for (const std::string& name : loaded.weights.names()) {
    if (name.starts_with("model.layers.0.attn.v_lora.")) loaded.weights.drop(name);
  }
  return loaded;
}

bool is_of_layer(std::string_view name, size_t layer) {
  if (name.find("ln0.") != std::string_view::npos || name.find("pre_norm.") != std::string_view::npos) return false;
  return name.find(concat("layers.", layer, ".")) != std::string_view::npos ||
         name.starts_with(concat("blocks.", layer, "."));
}

// The part with nothing but what it is to hold, all of which it takes.
std::unique_ptr<Model> build_part(const std::string& path, const ModelPart& part) {
  ModelWeights loaded = load_weights(path);
  const bool tied = std::visit([](const auto& c) { return c.tie_word_embeddings; }, loaded.config.architecture);
  const auto is_wanted = [&](std::string_view name) {
    for (size_t layer = 0; layer < loaded.config.n_layer(); ++layer) {
      if (is_of_layer(name, layer)) return layer >= part.first_layer && layer < part.last_layer;
    }
    const bool is_matrix = name.find("emb") != std::string_view::npos;
    const bool is_first =
        is_matrix || name.find("ln0.") != std::string_view::npos || name.find("pre_norm.") != std::string_view::npos;
    return (is_first && part.embeddings) || (!is_first && part.head) || (is_matrix && tied && part.head);
  };
  // Of others, nothing is there but the matrices that were packed while they were read.
  for (const std::string& name : loaded.weights.names()) {
    if (!is_wanted(name) && loaded.weights.find(name) != nullptr) loaded.weights.drop(name);
  }
  WeightOptions options;
  options.part = part;
  auto model = value_of(build_model(loaded.config, loaded.weights, options));
  CHECK(std::ranges::none_of(loaded.weights.names(), is_wanted));
  return model;
}

std::unique_ptr<Model> build_whole(const std::string& path, const WeightOptions& options = {}) {
  ModelWeights loaded = load_weights(path);
  return value_of(build_model(loaded.config, loaded.weights, options));
}

State make_state(const Model& model, size_t n_tokens) {
  State state = value_of(State::create(model.state_layout()));
  test::require_ok(state.reserve(model.state_layout(), n_tokens));
  return state;
}

std::vector<int32_t> make_ids(size_t n) {
  std::vector<int32_t> ids(n);
  for (size_t t = 0; t < n; ++t) ids[t] = static_cast<int32_t>((37 * t + 5) % 251);
  return ids;
}

void copy_stream(const std::vector<std::span<float>>& from, const std::vector<std::span<float>>& to) {
  REQUIRE(from.size() == to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    REQUIRE(from[i].size() == to[i].size());
    std::ranges::copy(from[i], to[i].begin());
  }
}

void check_layer_by_layer(const std::string& path) {
  CAPTURE(path);
  constexpr size_t kChunks[] = {7, 4};
  constexpr size_t kTokens = 11;
  const size_t n_layer = load_weights(path).config.n_layer();
  const size_t vocab_size = load_weights(path).config.vocab_size();
  const auto whole = build_whole(path);
  std::vector<std::unique_ptr<Model>> parts;
  parts.push_back(build_part(path, {0, 0, true, false, false}));
  for (size_t layer = 0; layer < n_layer; ++layer)
    parts.push_back(build_part(path, {layer, layer + 1, false, false, false}));
  parts.push_back(build_part(path, {n_layer, SIZE_MAX, false, true, true}));

  std::vector<Workspace> workspaces;
  for (const auto& part : parts) workspaces.push_back(value_of(part->create_workspace(kChunks[0])));
  Workspace workspace = value_of(whole->create_workspace(kChunks[0]));
  ThreadPool pool(2);
  State state = make_state(*whole, kTokens), state_of_parts = make_state(*parts[1], kTokens);
  const std::vector<int32_t> all_ids = make_ids(kTokens);
  size_t first = 0;
  for (const size_t n : kChunks) {
    const std::span ids = std::span(all_ids).subspan(first, n);
    std::vector<float> expected(n * vocab_size, NAN), logits(n * vocab_size, NAN);
    whole->forward(state, ids, LogitsWanted::kAll, workspace, pool, expected);

    parts.front()->embed(ids, workspaces.front(), pool);
    for (size_t i = 1; i < parts.size(); ++i) {
      copy_stream(parts[i - 1]->stream(workspaces[i - 1], n), parts[i]->stream(workspaces[i], n));
      parts[i]->run_layers(state_of_parts, n, workspaces[i], pool);
    }
    state_of_parts.n_tokens += n;
    parts.back()->head(n, LogitsWanted::kAll, workspaces.back(), pool, logits);
    CHECK(logits == expected);
    std::vector<float> last(vocab_size, NAN);
    parts.back()->head(n, LogitsWanted::kLast, workspaces.back(), pool, last);
    CHECK(std::ranges::equal(last, std::span(expected).last(vocab_size)));
    first += n;
  }
  CHECK(std::ranges::equal(state.buffer.bytes(), state_of_parts.buffer.bytes()));

  uint64_t weight_bytes = 0;
  for (const auto& part : parts) weight_bytes += part->weight_bytes();
  CHECK(weight_bytes >= whole->weight_bytes());  // tied embeddings are in two of them
}

const Tensor& weight_of(const ModelWeights& model, const std::string& name) {
  const Tensor* const weight = model.weights.find(name + ".weight");
  REQUIRE(weight != nullptr);
  return *weight;
}

// W [N, K] of `name`, or a vector, in float.
std::vector<double> values_of(const ModelWeights& model, const std::string& name) {
  const Tensor floats = value_of(to_f32(weight_of(model, name).view()));
  return {floats.as<float>().begin(), floats.as<float>().end()};
}

// Room for n tokens of each tap, with each workspace.
void add_chunks(InputTaps& taps, const ModelWeights& model, size_t n_tokens,
                std::initializer_list<const Workspace*> workspaces) {
  for (auto& [name, tap] : taps) {
    const auto n_in = static_cast<size_t>(weight_of(model, name).shape()[1]);
    for (const Workspace* workspace : workspaces) {
      tap.chunks.push_back({workspace, std::vector<float>(n_tokens * n_in), 0});
    }
  }
}

// Of one layer: everything that its linears `outputs` add to the stream, from their taps, is what the layer added. And
// the tap of `input`, where it has a name, is the RMS norm of the layer's input with `norm`.
void check_taps(const std::string& path, size_t layer, const std::vector<std::string>& outputs,
                const std::string& input = "", const std::string& norm = "") {
  CAPTURE(path);
  constexpr size_t kTokens = 64;  // that threads share
  InputTaps taps;
  for (const std::string& name : outputs) taps[name];
  if (!input.empty()) taps[input];
  WeightOptions options;
  options.taps = &taps;
  options.part = {0, layer, true, false};
  const auto before = build_whole(path, options);
  options.part = {layer, layer + 1, false, false, false};
  const auto model = build_whole(path, options);

  ThreadPool pool(2);
  State state = make_state(*model, kTokens);
  Workspace first = value_of(before->create_workspace(kTokens)), second = value_of(model->create_workspace(kTokens));
  const ModelWeights weights = load_weights(path);
  add_chunks(taps, weights, kTokens, {&first, &second});  // of which the second is used
  const std::vector<int32_t> ids = make_ids(kTokens);
  // A chunk that is shorter than the taps' room comes after one that fills it.
  for (const size_t n_tokens : {kTokens, kTokens - 5}) {
    state.reset(model->state_layout());
    test::require_ok(state.reserve(model->state_layout(), kTokens));
    before->embed(std::span(ids).first(n_tokens), first, pool);
    before->run_layers(state, n_tokens, first, pool);
    copy_stream(before->stream(first, n_tokens), model->stream(second, n_tokens));
    const std::span<const float> x = before->stream(first, n_tokens)[0];
    const size_t n_embd = x.size() / n_tokens;
    model->run_layers(state, n_tokens, second, pool);

    std::vector<double> expected(x.begin(), x.end());
    for (const std::string& name : outputs) {
      CAPTURE(name);
      const std::vector<double> weight = values_of(weights, name);
      const size_t n_in = weight.size() / n_embd;
      const InputTap::Chunk& tap = taps.at(name).chunks[1];
      REQUIRE(tap.n_tokens == n_tokens);
      for (size_t t = 0; t < n_tokens; ++t) {
        for (size_t n = 0; n < n_embd; ++n) {
          for (size_t k = 0; k < n_in; ++k) {
            expected[t * n_embd + n] += weight[n * n_in + k] * static_cast<double>(tap.rows[t * n_in + k]);
          }
        }
      }
    }
    const std::span<const float> y = model->stream(second, n_tokens)[0];
    CHECK(test::error_over_rms(y, std::span<const double>(expected)) <= test::kFloatArithmetic);
    if (input.empty()) continue;

    const std::vector<double> scale = values_of(weights, norm);
    for (size_t t = 0; t < n_tokens; ++t) {
      double squares = 0;
      for (size_t c = 0; c < n_embd; ++c) squares += std::pow(static_cast<double>(x[t * n_embd + c]), 2);
      const double rms = std::sqrt(squares / static_cast<double>(n_embd) + 1e-5);
      for (size_t c = 0; c < n_embd; ++c) {
        expected[t * n_embd + c] = static_cast<double>(x[t * n_embd + c]) / rms * scale[c];
      }
    }
    const InputTap::Chunk& tap = taps.at(input).chunks[1];
    REQUIRE(tap.n_tokens == n_tokens);
    CHECK(test::error_over_rms(std::span(tap.rows).first(n_tokens * n_embd), std::span<const double>(expected)) <=
          test::kFloatArithmetic);
  }
}

}  // namespace

TEST_CASE("layer by layer, each with its own weights and workspace, gives the bits of the whole model") {
  check_layer_by_layer(test::golden_path("models/rwkv7"));
  check_layer_by_layer(test::golden_path("models/mamba-noconvbias"));
  check_layer_by_layer(test::golden_path("models/hybrid-bamba"));
  check_layer_by_layer(SUTRA_PROJECT_DIR "/models/fairy-rwkv7");
  check_layer_by_layer(SUTRA_PROJECT_DIR "/models/fairy-mamba");
}

TEST_CASE("layer by layer gives the bits of the whole model, in every architecture (shared data)") {
  const auto models = test::shared_path("golden/models");
  if (!models) SKIP("needs the shared golden data");
  for (const char* name : {"rwkv4", "rwkv5/model.pth", "rwkv6/model.pth", "falcon_mamba", "mamba2-g1", "mamba2-g2",
                           "llama-gqa", "hybrid-granitemoehybrid"}) {
    check_layer_by_layer(concat(*models, '/', name));
  }
}

TEST_CASE("a tap holds the input of its linear") {
  check_taps(test::golden_path("models/rwkv7"), 1, {"model.layers.1.attn.o_proj", "model.layers.1.ffn.value"});
  check_taps(test::golden_path("models/mamba-noconvbias"), 1, {"backbone.layers.1.mixer.out_proj"},
             "backbone.layers.1.mixer.in_proj", "backbone.layers.1.norm");
}

TEST_CASE("a tap holds the input of its linear, in decoders and mamba2 (shared data)") {
  const auto models = test::shared_path("golden/models");
  if (!models) SKIP("needs the shared golden data");
  check_taps(*models + "/mamba2-g1", 1, {"backbone.layers.1.mixer.out_proj"}, "backbone.layers.1.mixer.in_proj",
             "backbone.layers.1.norm");
  check_taps(*models + "/llama-gqa", 1, {"model.layers.1.self_attn.o_proj", "model.layers.1.mlp.down_proj"},
             "model.layers.1.self_attn.q_proj", "model.layers.1.input_layernorm");
}

TEST_CASE("of linears that share their input only the first one's tap is filled") {
  const auto models = test::shared_path("golden/models");
  if (!models) SKIP("needs the shared golden data");
  InputTaps taps;
  const std::string p = "model.layers.0.";
  for (const char* name :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"}) {
    taps[p + name];
  }
  WeightOptions options;
  options.taps = &taps;
  const auto model = build_whole(*models + "/llama-gqa", options);
  ThreadPool pool(1);
  State state = make_state(*model, 3);
  Workspace workspace = value_of(model->create_workspace(3));
  add_chunks(taps, load_weights(*models + "/llama-gqa"), 3, {&workspace});
  model->forward(state, make_ids(3), LogitsWanted::kNone, workspace, pool, {});
  for (const auto& [name, tap] : taps) {
    CAPTURE(name);
    CHECK(tap.chunks[0].n_tokens == (name.ends_with("q_proj") || name.ends_with("gate_proj") ? 3 : 0));
  }
}

TEST_CASE("a part without its weights says which are missing") {
  ModelWeights loaded = load_weights(test::golden_path("models/rwkv7"));
  value_of(loaded.weights.take("model.layers.1.attn.o_proj.weight"));
  WeightOptions options;
  options.part = {1, 2, false, false};
  const auto model = build_model(loaded.config, loaded.weights, options);
  REQUIRE(!model);
  CHECK(model.error().code == ErrorCode::kNotFound);
  CHECK(model.error().message.find("model.layers.1.attn.o_proj.weight") != std::string::npos);
}

}  // namespace sutra
