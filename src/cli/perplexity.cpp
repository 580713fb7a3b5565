#include "runtime/perplexity.h"

#include <cstdio>

#include "cli/command.h"

namespace sutra::cli {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

struct Options {
  ModelOptions model;
  std::string text;
  PerplexityOptions perplexity;
  bool json = false;
};

Status run(const Options& options) {
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  if (engine->tokenizer() == nullptr) {
    const std::string& why = engine->info().why_no_tokenizer;
    return fail(ErrorCode::kNotFound, "the model has no tokenizer: name one with --tokenizer",
                why.empty() ? "" : concat(" (", why, ")"));
  }
  SUTRA_ASSIGN(const std::string text, read_text_file(options.text, kMaxTextBytes));
  SUTRA_ASSIGN(PerplexityJob job,
               PerplexityJob::create(engine, engine->tokenizer()->encode(text, false).ids, options.perplexity));
  for (bool more = true; more;) {
    SUTRA_ASSIGN(more, job.step());
    show_progress(concat("perplexity: ", job.fraction() * 100, " %, ", job.result().perplexity));
  }
  show_progress({});
  const PerplexityResult result = job.result();
  if (options.json) {
    print_json({{"perplexity", result.perplexity},
                {"nll", result.nll},
                {"tokens", result.n_tokens},
                {"bits_per_byte", result.bits_per_byte(text.size())},
                {"carried_state", options.perplexity.carry_state}});
  } else {
    std::printf("perplexity %.4f, nll %.6f, %llu tokens, %.4f bits per byte\n", result.perplexity, result.nll,
                static_cast<unsigned long long>(result.n_tokens), result.bits_per_byte(text.size()));
  }
  return {};
}

}  // namespace

Run add_perplexity(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->model.add_to(app);
  app.add_option("--text", options->text, "text file")->required();
  app.add_option("--ctx", options->perplexity.n_context, "tokens scored in each window")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--carry-state", options->perplexity.carry_state,
               "one state for the whole text, not the zero state at the start of each window; --ctx has no effect");
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
