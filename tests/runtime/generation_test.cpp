#include "runtime/generation.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "support/golden.h"

namespace sutra {
namespace {

using test::value_of;

struct Written {
  std::string text;
  std::vector<int32_t> ids;
  StopReason stop_reason = StopReason::kNone;
};

Written write(Session& session, std::string_view prompt, const GenerateOptions& options) {
  Generation generation = value_of(Generation::create(session, prompt, options));
  Written out;
  while (out.stop_reason == StopReason::kNone) {
    const GenerationStep step = value_of(generation.step());
    if (step.kind == GenerationStep::Kind::kToken) out.ids.push_back(step.id);
    out.text += step.text;
    out.stop_reason = step.stop_reason;
  }
  out.text += session.flush_text();
  return out;
}

GenerateOptions greedy(uint64_t max_tokens) {
  GenerateOptions options;
  options.max_tokens = max_tokens;
  options.sampling.temperature = 0;
  return options;
}

// The shipped model: it has a tokenizer.
std::shared_ptr<const Engine> storyteller() {
  return test::load_engine(std::string(SUTRA_PROJECT_DIR) + "/models/fairy-mamba");
}

}  // namespace

TEST_CASE("log probabilities are those of the model before any sampling option, where they are asked for") {
  Session session = value_of(Session::create(storyteller()));
  GenerateOptions options = greedy(3);
  options.sampling.repetition_penalty = 1.5f;
  options.logprobs = true;
  Generation generation = value_of(Generation::create(session, "Once upon a time", options));
  uint64_t n_checked = 0;
  for (GenerationStep step; step.stop_reason == StopReason::kNone; step = value_of(generation.step())) {
    CHECK(step.logprob.has_value() == (step.kind == GenerationStep::Kind::kToken));
    if (!step.logprob) continue;
    // The logits that the token was chosen from: its forward pass is yet to come.
    double sum = 0;
    for (const float logit : session.logits()) sum += std::exp(static_cast<double>(logit));
    const double logit = static_cast<double>(session.logits()[static_cast<size_t>(step.id)]);
    CHECK(std::abs(static_cast<double>(*step.logprob) - (logit - std::log(sum))) < 1e-5);
    ++n_checked;
  }
  CHECK(n_checked == 3);

  options.logprobs = false;
  Generation silent = value_of(Generation::create(session, "", options));
  CHECK_FALSE(value_of(silent.step()).logprob.has_value());
}

TEST_CASE("a token is returned before its forward pass, and nothing depends on who asks for that") {
  const auto engine = storyteller();
  Session session = value_of(Session::create(engine));
  Generation generation = value_of(Generation::create(session, "Once upon a time", greedy(5)));
  GenerationStep step;
  do step = value_of(generation.step());
  while (step.kind == GenerationStep::Kind::kPrefill);
  const uint64_t n_read = session.n_tokens();
  test::require_ok(generation.consume());
  CHECK(session.n_tokens() == n_read + 1);
  test::require_ok(generation.consume());
  CHECK(session.n_tokens() == n_read + 1);

  std::vector<int32_t> ids = {step.id};
  for (int i = 0; i < 4; ++i) ids.push_back(value_of(generation.step()).id);
  CHECK(value_of(generation.step()).kind == GenerationStep::Kind::kDone);
  CHECK(session.n_tokens() == n_read + 5);
  Session other = value_of(Session::create(engine));
  CHECK(write(other, "Once upon a time", greedy(5)).ids == ids);
  CHECK(std::ranges::equal(session.logits(), other.logits()));
}

TEST_CASE("a prompt is continued until max_tokens, and the text is the decoded ids") {
  const auto engine = storyteller();
  Session session = value_of(Session::create(engine));
  const Written out = write(session, "Once upon a time", greedy(24));
  CHECK(out.stop_reason == StopReason::kLength);
  CHECK(out.ids.size() == 24);
  CHECK(out.text == engine->tokenizer()->decode(out.ids));
}

TEST_CASE("continuing in two generations writes what one would have written") {
  const auto engine = storyteller();
  Session one = value_of(Session::create(engine));
  const Written whole = write(one, "The king", greedy(30));
  Session two = value_of(Session::create(engine));
  const Written first = write(two, "The king", greedy(11));
  const Written second = write(two, "", greedy(19));
  CHECK(first.text + second.text == whole.text);
}

TEST_CASE("generation ends before a stop string, also when it spans tokens") {
  const auto engine = storyteller();
  Session session = value_of(Session::create(engine));
  const std::string text = write(session, "Once upon a time", greedy(40)).text;
  REQUIRE(text.size() > 30);
  for (const size_t begin : {size_t{3}, size_t{10}, size_t{17}}) {
    const std::string stop = text.substr(begin, 7);
    CAPTURE(stop);
    session.reset();
    GenerateOptions options = greedy(40);
    options.stop = {"never in the text", stop};
    const Written out = write(session, "Once upon a time", options);
    CHECK(out.stop_reason == StopReason::kStop);
    CHECK(out.text == text.substr(0, text.find(stop)));
  }
}

TEST_CASE("an unfinished stop string at the end is text") {
  const auto engine = storyteller();
  Session session = value_of(Session::create(engine));
  const std::string text = write(session, "Once upon a time", greedy(12)).text;
  session.reset();
  GenerateOptions options = greedy(12);
  options.stop = {text.substr(text.size() - 4) + "#"};
  const Written out = write(session, "Once upon a time", options);
  CHECK(out.stop_reason == StopReason::kLength);
  CHECK(out.text == text);
}

TEST_CASE("an empty prompt starts from the begin-of-text token") {
  const auto engine = storyteller();
  Session empty = value_of(Session::create(engine));
  Session bos = value_of(Session::create(engine));
  const Written from_empty = write(empty, "", greedy(10));
  Generation generation = value_of(Generation::create(bos, std::vector<int32_t>{*engine->bos_token_id()}, greedy(10)));
  std::string text;
  for (GenerationStep step; step.stop_reason == StopReason::kNone;) {
    step = value_of(generation.step());
    text += step.text;
  }
  CHECK(from_empty.text == text + bos.flush_text());
}

TEST_CASE("any prompt is defined behaviour: other scripts, broken UTF-8, a NUL byte") {
  const auto engine = storyteller();
  for (const std::string& prompt : {std::string("দূরে কোথাও"), std::string("昔々あるところに"),
                                    std::string("\xff\xfe\x80 broken"), std::string("nul\0inside", 10)}) {
    Session session = value_of(Session::create(engine));
    const Written out = write(session, prompt, greedy(3));
    CHECK(out.stop_reason != StopReason::kNone);
    CHECK(session.n_tokens() >= 1);
  }
}

TEST_CASE("a prompt of 100 KB is read in slices that can be left at any time") {
  const auto engine = storyteller();
  std::string prompt;
  while (prompt.size() < 100'000) prompt += "The fox ran over the hill and the wind was cold. ";
  Session session = value_of(Session::create(engine));
  Generation generation = value_of(Generation::create(session, prompt, greedy(3)));
  REQUIRE(generation.n_prompt_tokens() > 10'000);
  for (uint64_t n_steps = 1; n_steps <= 20; ++n_steps) {
    const GenerationStep step = value_of(generation.step());
    CHECK(step.kind == GenerationStep::Kind::kPrefill);
    CHECK(step.n_prompt_done == n_steps * kChunkTokens);
    CHECK(session.n_tokens() == n_steps * kChunkTokens);
  }
}

TEST_CASE("sampling options that mean nothing are refused by name") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  GenerateOptions options;
  options.sampling.temperature = NAN;
  const auto generation = Generation::create(session, std::vector<int32_t>{1}, options);
  REQUIRE_FALSE(generation);
  CHECK(generation.error().code == ErrorCode::kInvalidArgument);
  CHECK(generation.error().message.find("temperature") != std::string::npos);
  CHECK(session.n_tokens() == 0);
}

TEST_CASE("text without a tokenizer and an empty stop string are refused") {
  const auto engine = test::load_engine(test::golden_path("models/rwkv7"));
  Session session = value_of(Session::create(engine));
  const auto text = Generation::create(session, "words", {});
  REQUIRE_FALSE(text);
  CHECK(text.error().code == ErrorCode::kNotFound);
  GenerateOptions options;
  options.stop = {""};
  const auto empty_stop = Generation::create(session, std::vector<int32_t>{1}, options);
  REQUIRE_FALSE(empty_stop);
  CHECK(empty_stop.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace sutra
