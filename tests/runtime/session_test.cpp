// Sessions are values: clone, save and load continue identically; what does not belong is refused.
#include "runtime/session.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "io/byte_sink.h"
#include "io/safetensors_writer.h"
#include "runtime/generation.h"
#include "support/golden.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

std::vector<int32_t> write(Session& session, std::vector<int32_t> prompt, uint64_t n, uint64_t seed) {
  GenerateOptions options;
  options.max_tokens = n;
  options.sampling.seed = seed;
  options.sampling.repetition_penalty = 1.2f;
  Generation generation = value_of(Generation::create(session, std::move(prompt), options));
  std::vector<int32_t> ids;
  for (;;) {
    const GenerationStep step = value_of(generation.step());
    if (step.kind == GenerationStep::Kind::kDone) return ids;
    if (step.kind == GenerationStep::Kind::kToken) ids.push_back(step.id);
  }
}

const std::vector<int32_t> kPrompt = {5, 17, 33, 2, 90, 41};

}  // namespace

TEST_CASE("a clone, a saved state and the session itself continue identically") {
  for (const char* name : {"models/rwkv7", "models/mamba-noconvbias", "models/hybrid-bamba"}) {
    CAPTURE(name);
    const auto engine = test::load_engine(test::golden_path(name));
    Session session = value_of(Session::create(engine));
    const std::vector<int32_t> first = write(session, kPrompt, 20, 7);
    REQUIRE(first.size() > 0);
    const std::vector<std::byte> saved = value_of(session.save());
    Session branch = value_of(session.clone());
    Session loaded = value_of(Session::create(engine));
    require_ok(loaded.load(saved));
    CHECK(loaded.n_tokens() == session.n_tokens());
    CHECK(value_of(loaded.save()) == saved);

    const std::vector<int32_t> expected = write(session, {}, 30, 8);
    CHECK(write(branch, {}, 30, 8) == expected);
    CHECK(write(loaded, {}, 30, 8) == expected);
  }
}

TEST_CASE("a branch leaves its origin untouched") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  write(session, kPrompt, 5, 1);
  const std::vector<std::byte> before = value_of(session.save());
  Session branch = value_of(session.clone());
  write(branch, {1, 2, 3}, 10, 2);
  CHECK(value_of(session.save()) == before);
}

TEST_CASE("a clone holds a state and nothing that grows with the model") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  write(session, kPrompt, 5, 1);
  const uint64_t before = memory_use().current_bytes;
  const Session branch = value_of(session.clone());
  CHECK(memory_use().current_bytes - before == engine->info().state_bytes);
  CHECK(branch.n_tokens() == session.n_tokens());
}

TEST_CASE("a state with attention grows by pages of tokens, and a clone by what it holds") {
  const auto engine = test::load_engine(test::golden_path("models/hybrid-bamba"));
  const ModelInfo& info = engine->info();
  // Keys and values of one layer: 2 heads of 16 channels, float32.
  CHECK(info.state_bytes_per_token == 2 * 2 * 16 * 4);
  CHECK(info.max_tokens == 262144);
  Session session = value_of(Session::create(engine));
  CHECK(session.state().size_bytes() == info.state_bytes);
  const std::vector<int32_t> ids(130, 7);
  for (std::span<const int32_t> rest(ids); !rest.empty();) rest = rest.subspan(value_of(session.advance(rest)));
  const uint64_t expected = info.state_bytes + 3 * 64 * info.state_bytes_per_token;
  CHECK(session.state().size_bytes() == expected);
  const uint64_t before = memory_use().current_bytes;
  const Session branch = value_of(session.clone());
  CHECK(memory_use().current_bytes - before == expected);
  session.reset();
  CHECK(session.state().size_bytes() == info.state_bytes);
  CHECK(branch.state().size_bytes() == expected);
}

TEST_CASE("a fresh session with attention is saved and loaded") {
  const auto engine = test::load_engine(test::golden_path("models/hybrid-bamba"));
  Session session = value_of(Session::create(engine));
  const std::vector<std::byte> saved = value_of(session.save());
  Session loaded = value_of(Session::create(engine));
  write(loaded, kPrompt, 5, 1);
  require_ok(loaded.load(saved));
  CHECK(loaded.n_tokens() == 0);
  CHECK(write(loaded, kPrompt, 20, 9) == write(session, kPrompt, 20, 9));
}

TEST_CASE("the mean of states is theirs, element by element, and writes on") {
  for (const char* name : {"models/rwkv7", "models/mamba-noconvbias"}) {
    CAPTURE(name);
    const auto engine = test::load_engine(test::golden_path(name));
    std::vector<Session> sessions;
    for (const std::vector<int32_t>& ids : {std::vector<int32_t>{5, 17}, {90, 2, 41}, {33}}) {
      sessions.push_back(value_of(Session::create(engine)));
      value_of(sessions.back().advance(ids));
    }
    Session mean = value_of(Session::mean(sessions));
    CHECK(mean.n_tokens() == 3);
    CHECK(mean.logits().empty());
    const auto values = [](const Session& session) { return session.state().buffer.as<const float>(); };
    bool right = true;
    for (size_t i = 0; i < values(mean).size(); ++i) {
      double sum = 0;
      for (const Session& session : sessions) sum += static_cast<double>(values(session)[i]);
      right = right && std::abs(static_cast<double>(values(mean)[i]) - sum / 3) <= 1e-6 * (1 + std::abs(sum));
    }
    CHECK(right);
    CHECK(write(mean, {7}, 5, 1).size() == 5);
  }
  const auto hybrid = test::load_engine(test::golden_path("models/hybrid-bamba"));
  std::vector<Session> caches;
  caches.push_back(value_of(Session::create(hybrid)));
  CHECK(Session::mean(caches).error().code == ErrorCode::kUnsupported);
  CHECK(Session::mean({}).error().code == ErrorCode::kInvalidArgument);
}

// A state as state tuning writes it: [H, value, key] of every layer.
std::vector<std::byte> tuned_state(const Engine& engine, const State& state) {
  const StateField& field = engine.model().state_layout().fields[1];
  REQUIRE(field.name == "att_kv");
  const uint64_t n_layer = field.published[0], n_head = field.published[1], n = field.published[2];
  const Tensor published = value_of(publish_field(field, state));  // RWKV-7: [L, H, value, key]
  MemorySink sink;
  std::vector<TensorSpec> specs;
  for (uint64_t layer = 0; layer < n_layer; ++layer) {
    specs.push_back({concat("blocks.", layer, ".att.time_state"), Dtype::kF32, {n_head, n, n}});
  }
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(sink, specs));
  for (uint64_t layer = 0; layer < n_layer; ++layer) {
    const auto bytes =
        published.bytes().subspan(layer * n_head * n * n * sizeof(float), n_head * n * n * sizeof(float));
    require_ok(writer.write(specs[layer].name, {Dtype::kF32, specs[layer].shape, bytes}));
  }
  require_ok(writer.finish());
  return {sink.bytes().begin(), sink.bytes().end()};
}

TEST_CASE("a state that training made is where a text starts, and one of another model is refused") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session source = value_of(Session::create(engine));
  value_of(source.advance(kPrompt));
  const std::vector<std::byte> file = tuned_state(*engine, source.state());
  Session session = value_of(Session::create(engine));
  write(session, kPrompt, 3, 1);
  require_ok(session.load(file));
  CHECK(session.n_tokens() == 0);
  CHECK(session.logits().empty());
  for (const StateField& field : engine->model().state_layout().fields) {
    CAPTURE(field.name);
    const std::span got(session.state().field(field), field.n_floats());
    const std::span expected(source.state().field(field), field.n_floats());
    // The token shifts start from nothing.
    if (field.name == "att_kv") {
      CHECK(std::ranges::equal(got, expected));
    } else {
      CHECK(std::ranges::all_of(got, [](float value) { return value == 0.0f; }));
    }
  }

  const auto mamba = test::load_engine(test::golden_path("models/mamba-noconvbias"));
  Session other = value_of(Session::create(mamba));
  CHECK(other.load(file).error().code == ErrorCode::kStateMismatch);
  for (size_t n = 0; n < file.size(); n += 1009) CHECK_FALSE(session.load(std::span(file).first(n)).has_value());
}

TEST_CASE("a .pth of state tuning has values in rows and keys in columns") {
  // torch.save of {blocks.L.att.time_state: (arange(2 · 64 · 64).reshape(2, 64, 64) + 100000 · L) / 1024}
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  require_ok(session.load(test::read_bytes(test::golden_path("io/torch/time-state/state.pth"))));
  const StateField& field = engine->model().state_layout().fields[1];
  const Tensor published = value_of(publish_field(field, session.state()));
  constexpr size_t kLayer = 2 * 64 * 64;
  bool right = published.as<float>().size() == 2 * kLayer;
  for (size_t i = 0; i < 2 * kLayer; ++i) {
    right = right && published.as<float>()[i] == static_cast<float>(i % kLayer + 100000 * (i / kLayer)) / 1024.0f;
  }
  CHECK(right);
  // A checkpoint is no state.
  const auto other = test::read_bytes(test::golden_path("io/torch/zip-state-dict/model.pth"));
  CHECK(session.load(other).error().code == ErrorCode::kStateMismatch);
}

TEST_CASE("beyond the context's length ids are refused, and what was read stays") {
  FolderOptions options;
  options.overrides = {"max_position_embeddings=20"};
  const auto engine = value_of(load_model_folder(test::golden_path("models/hybrid-bamba"), options));
  Session session = value_of(Session::create(engine));
  const std::vector<int32_t> ids(15, 7);
  value_of(session.advance(ids));
  const std::vector<std::byte> before = value_of(session.save());
  const auto refused = session.advance(std::span(ids).first(6));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message.find("20 tokens") != std::string::npos);
  CHECK(value_of(session.save()) == before);

  // A generation ends in the same error, as often as it is asked, with all of its tokens in the session but the last.
  Generation generation = value_of(Generation::create(session, std::vector<int32_t>{}, {}));
  for (size_t i = 0; i < 6; ++i) value_of(generation.step());
  for (size_t i = 0; i < 2; ++i) {
    const auto step = generation.step();
    REQUIRE_FALSE(step);
    CHECK(step.error().code == ErrorCode::kInvalidArgument);
  }
  CHECK(session.n_tokens() == 20);

  // And a longer state than the context's is refused.
  const auto longer = test::load_engine(test::golden_path("models/hybrid-bamba"));
  Session source = value_of(Session::create(longer));
  value_of(source.advance(std::vector<int32_t>(21, 7)));
  const Status loaded = session.load(value_of(source.save()));
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::kStateMismatch);
}

TEST_CASE("a long prompt advances in chunks to the same state as token by token") {
  const auto engine = test::load_engine(test::golden_path("models/mamba-noconvbias"));
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 300; ++i) ids.push_back(i * 7 % static_cast<int32_t>(engine->info().vocab_size));
  Session chunked = value_of(Session::create(engine));
  size_t n_calls = 0;
  for (std::span<const int32_t> rest(ids); !rest.empty(); ++n_calls) {
    rest = rest.subspan(value_of(chunked.advance(rest)));
  }
  CHECK(n_calls == 5);
  Session stepped = value_of(Session::create(engine));
  for (const int32_t id : ids) value_of(stepped.advance(std::span(&id, 1)));
  CHECK(std::ranges::equal(chunked.logits(), stepped.logits()));
  CHECK(value_of(chunked.save()) == value_of(stepped.save()));
}

TEST_CASE("a state of another model is refused and leaves the session as it was") {
  const auto rwkv7 = test::load_engine(test::golden_path("models/rwkv7"));
  const auto mamba = test::load_engine(test::golden_path("models/mamba-noconvbias"));
  Session source = value_of(Session::create(mamba));
  write(source, {1, 2}, 3, 1);
  const std::vector<std::byte> foreign = value_of(source.save());
  Session session = value_of(Session::create(rwkv7));
  write(session, kPrompt, 4, 3);
  const std::vector<std::byte> before = value_of(session.save());
  const Status loaded = session.load(foreign);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::kStateMismatch);
  CHECK(loaded.error().message.find("mamba") != std::string::npos);
  CHECK(value_of(session.save()) == before);
}

TEST_CASE("every truncated prefix of a saved state is refused and leaves the session as it was") {
  for (const char* name : {"models/mamba-noconvbias", "models/hybrid-bamba"}) {
    const auto engine = test::load_engine(test::golden_path(name));
    Session session = value_of(Session::create(engine));
    write(session, kPrompt, 4, 3);
    const std::vector<std::byte> saved = value_of(session.save());
    for (size_t n = 0; n < saved.size(); n += n < 2000 ? 1 : 997) {
      CAPTURE(name, n);
      CHECK_FALSE(session.load(std::span(saved).first(n)));
    }
    CHECK(value_of(session.save()) == saved);
  }
}

TEST_CASE("ids outside the vocabulary are refused before anything changes") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  for (const int32_t id : {-1, 256, 1 << 30}) {
    const auto advanced = session.advance(std::span(&id, 1));
    REQUIRE_FALSE(advanced);
    CHECK(advanced.error().code == ErrorCode::kInvalidArgument);
  }
  CHECK(session.n_tokens() == 0);
}

TEST_CASE("reset goes back to the zero state") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  const std::vector<std::byte> zero = value_of(session.save());
  const std::vector<int32_t> first = write(session, kPrompt, 8, 5);
  session.reset();
  CHECK(value_of(session.save()) == zero);
  CHECK(write(session, kPrompt, 8, 5) == first);
}

TEST_CASE("threads do not change a bit, in 4, 8 or more bits, in prompts or single tokens") {
  const std::string models = std::string(SUTRA_PROJECT_DIR) + "/models/";
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 70; ++i) prompt.push_back(i % 50);
  for (const std::string& model : {test::golden_path("models/rwkv7"), models + "fairy-rwkv7", models + "fairy-mamba"}) {
    const auto one = test::load_engine(model);
    Session expected = value_of(Session::create(one));
    write(expected, prompt, 12, 5);
    for (const size_t n_threads : {2u, 3u, 7u}) {
      CAPTURE(model, n_threads);
      LoadOptions options;
      options.n_threads = n_threads;
      const auto many = test::load_engine(model, options);
      Session session = value_of(Session::create(many));
      write(session, prompt, 12, 5);
      CHECK(value_of(session.save()) == value_of(expected.save()));
    }
  }
}

}  // namespace sutra
