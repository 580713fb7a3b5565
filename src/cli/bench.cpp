#include <algorithm>
#include <array>
#include <chrono>

#include "base/rng.h"
#include "cli/command.h"
#include "runtime/isa.h"
#include "runtime/session.h"

namespace sutra::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Options {
  ModelOptions model;
  size_t n_prompt = 512, n_generate = 128;
  bool json = false;  // has no effect
};

// One measured run: token ids in, token ids out, no tokenizer.
struct Measured {
  double first_token_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
};

Result<Measured> measure(Session& session, std::span<const int32_t> prompt, size_t n_generate) {
  session.reset();
  Measured run;
  const auto start = Clock::now();
  for (auto rest = prompt; !rest.empty();) {
    SUTRA_ASSIGN(const size_t n, session.advance(rest));
    rest = rest.subspan(n);
  }
  run.prefill_seconds = seconds_since(start);
  const auto decode_start = Clock::now();
  for (size_t i = 0; i < n_generate; ++i) {
    const auto logits = session.logits();
    const auto id = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
    if (i == 0) run.first_token_seconds = seconds_since(start);
    SUTRA_TRY(session.advance(std::span(&id, 1)));
  }
  run.decode_seconds = seconds_since(decode_start);
  return run;
}

double median(std::array<double, 3> values) {
  std::ranges::sort(values);
  return values[1];
}

Status run(const Options& options) {
  const auto load_start = Clock::now();
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  const double load_seconds = seconds_since(load_start);
  SUTRA_ASSIGN(Session session, Session::create(engine));
  const int32_t first_id = 1 % static_cast<int32_t>(engine->info().vocab_size);
  SUTRA_ASSIGN(const Measured after_load, measure(session, std::span(&first_id, 1), 1));
  Rng rng(1);
  std::vector<int32_t> prompt(options.n_prompt);
  for (int32_t& id : prompt) id = static_cast<int32_t>(rng.next_u64() % engine->info().vocab_size);
  SUTRA_TRY(measure(session, prompt, options.n_generate));
  std::array<double, 3> first_token{}, prefill{}, decode{};
  for (size_t i = 0; i < 3; ++i) {
    SUTRA_ASSIGN(const Measured run, measure(session, prompt, options.n_generate));
    first_token[i] = run.first_token_seconds;
    prefill[i] = run.prefill_seconds;
    decode[i] = run.decode_seconds;
  }
  print_json({{"load_ms", load_seconds * 1e3},
              {"first_token_after_load_ms", after_load.first_token_seconds * 1e3},
              {"first_token_ms", median(first_token) * 1e3},
              {"prefill_tokens_per_s", static_cast<double>(options.n_prompt) / median(prefill)},
              {"decode_tokens_per_s", static_cast<double>(options.n_generate) / median(decode)},
              {"peak_bytes", memory_use().peak_bytes},
              {"model_bytes", engine->info().weight_bytes},
              {"activation_bits", options.model.exact              ? 32
                                  : options.model.int8_activations ? 8
                                                                   : 15},
              {"artefact", kernels::isa_name(kernels::active_isa())},
              {"threads", engine->info().n_threads}});
  return {};
}

}  // namespace

Run add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->model.add_to(app);
  app.add_option("--prompt-tokens", options->n_prompt, "length of the prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--gen-tokens", options->n_generate, "tokens to decode")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--json", options->json,
               "accepted for symmetry with the other commands: the output is always one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
