// What the subcommands of `sutra` share. A command fills a CLI11 app with its options and returns a Status when run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "runtime/model_folder.h"

namespace sutra::cli {

// Keys in the order they were written.
using Json = nlohmann::ordered_json;

// Runs after parsing; its error becomes one line on stderr and exit code 1.
using Run = std::function<Status()>;

// --model and what goes with it, the same for every command that loads one.
struct ModelOptions {
  std::string model;
  std::string tokenizer;
  std::vector<std::string> overrides;
  size_t n_threads = 1;
  std::string isa;
  bool exact = false;
  bool int8_activations = false;

  void add_to(CLI::App& app);
  [[nodiscard]] Result<std::shared_ptr<const Engine>> load() const;
};

// --ids 1,2,3 or --ids-file F (numbers separated by commas or white space).
struct IdsOptions {
  std::string ids;
  std::string ids_file;

  void add_to(CLI::App& app);
  [[nodiscard]] Result<std::vector<int32_t>> read() const;
};

void print_json(const Json& json);
// Writes `text` to stderr at most ten times a second, over the last line; the final call with an empty text ends it.
void show_progress(const std::string& text);

// From here on Ctrl+C, or a request to end, does not end the program: go_on() becomes false, so that work which asks can
// take back what it has written. The second one ends it.
void catch_interrupts();
bool go_on();

Run add_generate(CLI::App& app);
Run add_logits(CLI::App& app);
Run add_state(CLI::App& app);
Run add_tokenize(CLI::App& app);
Run add_quantize(CLI::App& app);
Run add_convert(CLI::App& app);
Run add_perplexity(CLI::App& app);
Run add_init(CLI::App& app);
Run add_inspect(CLI::App& app);
Run add_bench(CLI::App& app);

}  // namespace sutra::cli
