#include <chrono>
#include <cstdio>
#include <random>

#include "cli/command.h"
#include "runtime/generation.h"

namespace sutra::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
double rate(uint64_t n, double seconds) { return seconds > 0 ? static_cast<double>(n) / seconds : 0; }

struct Options {
  ModelOptions model;
  std::string prompt;
  GenerateOptions generate;
  bool json = false;
};

struct Outcome {
  std::string text;
  std::vector<int32_t> ids;
  StopReason stop_reason = StopReason::kNone;
  double prefill_seconds = 0, decode_seconds = 0;
};

Result<Outcome> generate(Session& session, Generation& generation, bool stream) {
  Outcome outcome;
  auto phase_start = Clock::now();
  for (bool prefilling = true; outcome.stop_reason == StopReason::kNone;) {
    SUTRA_ASSIGN(const GenerationStep step, generation.step());
    if (prefilling && generation.n_prompt_tokens() == step.n_prompt_done) {
      outcome.prefill_seconds = seconds_since(phase_start);
      phase_start = Clock::now();
      prefilling = false;
    }
    if (step.kind == GenerationStep::Kind::kToken) outcome.ids.push_back(step.id);
    std::string text = step.text;
    outcome.stop_reason = step.stop_reason;
    if (outcome.stop_reason != StopReason::kNone) text += session.flush_text();
    outcome.text += text;
    if (stream) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
  }
  outcome.decode_seconds = seconds_since(phase_start);
  if (stream) std::fputc('\n', stdout);
  return outcome;
}

Status run(const Options& options) {
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  SUTRA_ASSIGN(Session session, Session::create(engine));
  SUTRA_ASSIGN(Generation generation, Generation::create(session, options.prompt, options.generate));
  SUTRA_ASSIGN(const Outcome outcome, generate(session, generation, !options.json));
  if (!options.json) return {};
  print_json({{"text", outcome.text},
              {"ids", outcome.ids},
              {"prompt_tokens", generation.n_prompt_tokens()},
              {"generated_tokens", outcome.ids.size()},
              {"stop_reason", stop_reason_name(outcome.stop_reason)},
              {"prefill_tokens_per_s", rate(generation.n_prompt_tokens(), outcome.prefill_seconds)},
              {"decode_tokens_per_s", rate(outcome.ids.size(), outcome.decode_seconds)}});
  return {};
}

}  // namespace

Run add_generate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->generate.sampling.seed = std::random_device{}();
  options->model.add_to(app);
  GenerateOptions& generate_options = options->generate;
  sample::Options& sampling = generate_options.sampling;
  app.add_option("--prompt", options->prompt, "text to continue; empty starts a new text")->required();
  app.add_option("--max-tokens", generate_options.max_tokens, "most tokens to write")->capture_default_str();
  app.add_option("--temperature", sampling.temperature, "0 is greedy")->capture_default_str();
  app.add_option("--top-k", sampling.top_k, "0 is off")->capture_default_str();
  app.add_option("--top-p", sampling.top_p, "1 is off")->capture_default_str();
  app.add_option("--min-p", sampling.min_p, "0 is off")->capture_default_str();
  app.add_option("--repetition-penalty", sampling.repetition_penalty, "1 is off")->capture_default_str();
  app.add_option("--seed", sampling.seed, "the same seed gives the same text");
  app.add_option("--stop", generate_options.stop, "ends the text before this string (repeatable)");
  app.add_flag("--json", options->json, "one JSON object instead of streamed text");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
