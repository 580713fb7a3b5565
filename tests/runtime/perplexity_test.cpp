// Perplexity in both ways: the state reset at the start of each window, and carried over through the text. Expected
// values are softmaxes in double: of logits of independent implementations, or of one forward pass a token.
#include "runtime/perplexity.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <numbers>

#include "io/byte_sink.h"
#include "io/safetensors_writer.h"
#include "support/golden.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra {
namespace {

using test::value_of;

constexpr const char* kModels[] = {"models/rwkv7", "models/mamba-noconvbias", "models/hybrid-bamba"};

PerplexityResult evaluate(const std::shared_ptr<const Engine>& engine, const std::vector<int32_t>& ids,
                          const PerplexityOptions& options) {
  PerplexityJob job = value_of(PerplexityJob::create(engine, ids, options));
  while (value_of(job.step())) continue;
  CHECK(job.fraction() == 1);
  return job.result();
}

// -log softmax(logits)[id]
double nll_of(std::span<const float> logits, int32_t id) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  return std::log(sum) - static_cast<double>(logits[static_cast<size_t>(id)]);
}

// Mean of the ids after the first, one forward pass a token; from the zero state at the start and wherever `n_context`
// ids were fed since.
double nll_by_tokens(const Engine& engine, std::span<const int32_t> ids, size_t n_context) {
  const StateLayout& layout = engine.model().state_layout();
  State state = value_of(State::create(layout));
  std::vector<float> logits(engine.info().vocab_size);
  double sum = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    if (t % n_context == 0) state.reset(layout);
    test::require_ok(engine.reserve(state, 1));
    engine.forward(state, ids.subspan(t, 1), LogitsWanted::kLast, logits);
    sum += nll_of(logits, ids[t + 1]);
  }
  return sum / static_cast<double>(ids.size() - 1);
}

std::vector<int32_t> random_ids(const Engine& engine, size_t n) {
  test::Random random(5);
  std::vector<int32_t> ids;
  const auto last = static_cast<int64_t>(engine.info().vocab_size) - 1;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(random.integer(0, last)));
  return ids;
}

// RWKV-7 with an embedding of one id whose mean overflows.
std::shared_ptr<const Engine> engine_with_overflow_at(int32_t id) {
  TensorMap tensors = test::load_tensors(test::golden_path("models/rwkv7/model.safetensors"));
  Tensor embeddings = value_of(tensors.take("model.embeddings.weight"));
  std::ranges::fill(embeddings.as<float>().subspan(static_cast<size_t>(id) * 128, 128), 3e38f);
  test::require_ok(tensors.insert("model.embeddings.weight", std::move(embeddings)));
  MemorySink sink;
  std::vector<TensorSpec> specs;
  for (const std::string& name : tensors.names())
    specs.push_back({name, tensors.find(name)->dtype(), tensors.find(name)->shape()});
  order_for_alignment(specs);
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(sink, specs));
  for (const TensorSpec& spec : specs) test::require_ok(writer.write(spec.name, tensors.find(spec.name)->view()));
  test::require_ok(writer.finish());
  ModelLoader loader = value_of(ModelLoader::create({.exact = true}));
  test::require_ok(loader.set_config(test::read_bytes(test::golden_path("models/rwkv7/config.json"))));
  test::require_ok(test::feed_file(loader, "model.safetensors", sink.bytes()));
  return value_of(loader.finish());
}

void check_close(double got, double expected) { CHECK(std::fabs(got - expected) < test::kFloatArithmetic * expected); }

void check_same(const PerplexityResult& got, const PerplexityResult& expected) {
  CHECK(got.nll == expected.nll);
  CHECK(got.perplexity == expected.perplexity);
  CHECK(got.n_tokens == expected.n_tokens);
}

}  // namespace

TEST_CASE("perplexity of each window is that of an independent implementation's logits") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto engine = test::load_engine(test::golden_path(name), {.exact = true});
    // Two sequences, each from the zero state: [2, T], and logits [2, T, V].
    TensorMap golden = test::load_tensors(test::golden_path(std::string(name) + "/expected.safetensors"));
    const Tensor logits = value_of(golden.take("logits"));
    const std::vector<int32_t> ids = test::ids_of(value_of(golden.take("input_ids")));
    const size_t vocab_size = engine->info().vocab_size, n_context = ids.size() / 2;
    const auto nll_after = [&](size_t t) {
      return nll_of(logits.as<float>().subspan(t * vocab_size, vocab_size), ids[t + 1]);
    };

    double sum = 0;
    for (size_t t = 0; t + 1 < n_context; ++t) sum += nll_after(t);
    // Of the first sequence alone, in windows of five with the state carried over.
    const std::vector<int32_t> first(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(n_context));
    const auto carried = evaluate(engine, first, {.n_context = 5, .carry_state = true});
    CHECK(carried.n_tokens == n_context - 1);
    CHECK(std::fabs(carried.nll - sum / static_cast<double>(n_context - 1)) < test::kGoldenOperator);

    for (size_t t = n_context - 1; t + 1 < ids.size(); ++t) sum += nll_after(t);
    const auto reset = evaluate(engine, ids, {.n_context = n_context});
    CHECK(reset.n_tokens == ids.size() - 1);
    CHECK(std::fabs(reset.nll - sum / static_cast<double>(ids.size() - 1)) < test::kGoldenOperator);
    CHECK(reset.perplexity == std::exp(reset.nll));
  }
}

TEST_CASE("perplexity with the state carried over is that of one window over the whole text") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto engine = test::load_engine(test::golden_path(name));
    const std::vector<int32_t> ids = random_ids(*engine, 200);
    const auto whole = evaluate(engine, ids, {.n_context = 199});
    check_close(whole.nll, nll_by_tokens(*engine, ids, 199));
    for (const size_t n_context : {1u, 7u, 64u, 150u, 1000u})
      check_same(evaluate(engine, ids, {.n_context = n_context, .carry_state = true}), whole);
  }
}

TEST_CASE("perplexity with the state reset starts each window from nothing") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto engine = test::load_engine(test::golden_path(name));
    const std::vector<int32_t> ids = random_ids(*engine, 200);
    const auto carried = evaluate(engine, ids, {.carry_state = true});
    for (const size_t n_context : {1u, 7u, 100u}) {
      CAPTURE(n_context);
      const auto reset = evaluate(engine, ids, {.n_context = n_context});
      CHECK(reset.n_tokens == 199);
      check_close(reset.nll, nll_by_tokens(*engine, ids, n_context));
      CHECK(reset.nll != carried.nll);
    }
  }
}

TEST_CASE("perplexity advances by chunks, and says how far it is") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  PerplexityJob job = value_of(PerplexityJob::create(engine, random_ids(*engine, 101), {.n_context = 80}));
  CHECK(job.result().n_tokens == 0);
  std::vector<uint64_t> scored;
  for (bool more = true; more;) {
    more = value_of(job.step());
    scored.push_back(job.result().n_tokens);
    CHECK(job.fraction() == static_cast<double>(scored.back()) / 100);
  }
  CHECK(scored == std::vector<uint64_t>{64, 80, 100});
  CHECK_FALSE(value_of(job.step()));
  CHECK(job.result().n_tokens == 100);
}

TEST_CASE("bits per byte count every bit of the text once") {
  PerplexityResult result;
  result.nll = 2 * std::numbers::ln2;  // two bits a token
  result.n_tokens = 12;
  CHECK(result.bits_per_byte(8) == 3);
  CHECK(result.bits_per_byte(0) == 0);
}

TEST_CASE("perplexity refuses what it cannot score before any work") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  const auto refused = [&](std::vector<int32_t> ids, const PerplexityOptions& options) {
    auto job = PerplexityJob::create(engine, std::move(ids), options);
    REQUIRE_FALSE(job);
    CHECK(job.error().code == ErrorCode::kInvalidArgument);
    return job.error().message;
  };
  CHECK(refused({}, {}).find("found 0") != std::string::npos);
  CHECK(refused({7}, {.carry_state = true}).find("found 1") != std::string::npos);
  CHECK(refused({7, 256}, {}).find("256") != std::string::npos);
  CHECK(refused({7, 8}, {.n_context = 0}).find("context") != std::string::npos);
}

TEST_CASE("perplexity ends with the first token after which logits are not finite") {
  const auto engine = engine_with_overflow_at(9);
  std::vector<int32_t> ids(100, 3);
  ids[70] = 9;
  for (const bool carry_state : {false, true}) {
    PerplexityJob job = value_of(PerplexityJob::create(engine, ids, {.carry_state = carry_state}));
    CHECK(value_of(job.step()));
    const auto failed = job.step();
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::kNonFinite);
    CHECK(failed.error().message.find("token 70 ") != std::string::npos);
  }
}

TEST_CASE("perplexity of a model with attention needs windows that its context holds") {
  const auto engine = test::load_engine(test::golden_path("models/hybrid-bamba"), {}, {"max_position_embeddings=20"});
  const std::vector<int32_t> ids = random_ids(*engine, 50);
  for (const PerplexityOptions& options :
       {PerplexityOptions{.carry_state = true}, PerplexityOptions{.n_context = 21}}) {
    const auto job = PerplexityJob::create(engine, ids, options);
    REQUIRE_FALSE(job);
    CHECK(job.error().code == ErrorCode::kInvalidArgument);
    CHECK(job.error().message.find("20 tokens") != std::string::npos);
  }
  CHECK(evaluate(engine, ids, {.n_context = 20}).n_tokens == 49);
  const std::vector<int32_t> short_ids(ids.begin(), ids.begin() + 21);
  CHECK(evaluate(engine, short_ids, {.carry_state = true}).n_tokens == 20);
}

TEST_CASE("perplexity asks for its memory at once, and gives it back") {
  const auto engine = test::load_engine(test::golden_path("models/hybrid-bamba"));
  const ModelInfo& info = engine->info();
  const std::vector<int32_t> ids = random_ids(*engine, 131);
  const uint64_t before = memory_use().current_bytes;
  {
    const PerplexityJob job = value_of(PerplexityJob::create(engine, ids, {.carry_state = true}));
    // Three pages of 64 tokens hold the 130 that are fed; logits of one chunk.
    const uint64_t logits_bytes = uint64_t{kChunkTokens} * info.vocab_size * sizeof(float);
    CHECK(memory_use().current_bytes - before == info.state_bytes + 192 * info.state_bytes_per_token + logits_bytes);
  }
  CHECK(memory_use().current_bytes == before);
  for (const int64_t n : {0, 1, 3, 4}) {
    CAPTURE(n);
    fail_allocation_after(n);
    const auto job = PerplexityJob::create(engine, ids, {.carry_state = true});
    fail_allocation_after(-1);
    REQUIRE_FALSE(job);
    CHECK(job.error().code == ErrorCode::kOutOfMemory);
  }
  CHECK(memory_use().current_bytes == before);
}

}  // namespace sutra
