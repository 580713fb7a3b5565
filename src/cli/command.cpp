#include "cli/command.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "runtime/isa.h"

namespace sutra::cli {
namespace {

constexpr uint64_t kMaxIdsFileBytes = uint64_t{1} << 28;

volatile std::sig_atomic_t interrupted = 0;

void interrupt(int number) {
  interrupted = 1;
  std::signal(number, SIG_DFL);
}

Result<std::vector<int32_t>> parse_ids(std::string_view text) {
  constexpr std::string_view kSeparators = ", \t\r\n";
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(kSeparators); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    const std::string_view word = text.substr(at, end - at);
    int32_t id = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), id);
    if (parsed.ec != std::errc{} || parsed.ptr != word.data() + word.size()) {
      return fail(ErrorCode::kInvalidArgument, "'", printable(word), "' is not a token id");
    }
    ids.push_back(id);
    at = text.find_first_not_of(kSeparators, end);
  }
  if (ids.empty()) return fail(ErrorCode::kInvalidArgument, "no token ids were given");
  return ids;
}

}  // namespace

void ModelOptions::add_to(CLI::App& app) {
  app.add_option("--model", model,
                 "model folder, or one file of weights: .gguf, .pth, or .safetensors with config.json beside it")
      ->required();
  app.add_option("--tokenizer", tokenizer, "tokenizer file that is not beside the model");
  app.add_option("--override", overrides, "key=value: replaces one value of config.json (repeatable)");
  app.add_option("--threads", n_threads, "threads of the engine")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--isa", isa, "forces a kernel variant: scalar, avx2, avx512, neon");
  app.add_flag("--exact", exact, "float32 activations, weights as stored");
  app.add_flag("--a8", int8_activations, "8-bit activations for the 4-bit products");
}

Result<std::shared_ptr<const Engine>> ModelOptions::load() const {
  if (!isa.empty()) {
    SUTRA_ASSIGN(const kernels::Isa forced, kernels::parse_isa(isa));
    SUTRA_TRY(kernels::force_isa(forced));
  }
  FolderOptions options;
  options.load = {exact, int8_activations, n_threads};
  options.tokenizer_path = tokenizer;
  options.overrides = overrides;
  return load_model_folder(model, options);
}

void IdsOptions::add_to(CLI::App& app) {
  auto* inline_ids = app.add_option("--ids", ids, "token ids, separated by commas");
  app.add_option("--ids-file", ids_file, "file of token ids")->excludes(inline_ids);
}

Result<std::vector<int32_t>> IdsOptions::read() const {
  if (ids_file.empty()) return parse_ids(ids);
  SUTRA_ASSIGN(const std::string text, read_text_file(ids_file, kMaxIdsFileBytes));
  return parse_ids(text);
}

void print_json(const Json& json) {
  // Text from models may hold anything; replacing keeps the output valid JSON.
  std::puts(json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

void catch_interrupts() {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, interrupt);
}

bool go_on() { return interrupted == 0; }

void show_progress(const std::string& text) {
  using Clock = std::chrono::steady_clock;
  static Clock::time_point last;
  static bool shown = false;
  if (text.empty()) {
    if (shown) std::fputc('\n', stderr);
    shown = false;
    return;
  }
  if (shown && Clock::now() - last < std::chrono::milliseconds(100)) return;
  last = Clock::now();
  shown = true;
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

}  // namespace sutra::cli
