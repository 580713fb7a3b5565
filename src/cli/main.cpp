// sutra: the native program. One subcommand a file in this folder.
#include <csignal>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace {

using sutra::cli::Run;

struct Command {
  const char* name;
  const char* description;
  Run (*add)(CLI::App&);
};

constexpr Command kCommands[] = {
    {"generate", "write text", sutra::cli::add_generate},
    {"logits", "logits of every position and the state after the last", sutra::cli::add_logits},
    {"state", "write, read and continue from a saved state", sutra::cli::add_state},
    {"tokenize", "text to ids and back: JSON lines on stdin to JSON lines on stdout", sutra::cli::add_tokenize},
    {"quantize", "write a model in the 4-bit AWQ layout", sutra::cli::add_quantize},
    {"convert", "write a model as safetensors or GGUF", sutra::cli::add_convert},
    {"perplexity", "perplexity of a text", sutra::cli::add_perplexity},
    {"init", "write a randomly initialised model of any shape", sutra::cli::add_init},
    {"inspect", "metadata and tensor table of a file, without loading the weights", sutra::cli::add_inspect},
    {"bench", "speed of loading, prefill and decoding", sutra::cli::add_bench},
};

}  // namespace

int main(int argc, char** argv) {
  // A reader that closes early (`sutra generate … | head`) ends the program, not with an error.
  std::signal(SIGPIPE, SIG_DFL);
  CLI::App app("Sutra: recurrent language models, natively and in the browser", "sutra");
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Run>> runs;
  for (const Command& command : kCommands) {
    CLI::App* subcommand = app.add_subcommand(command.name, command.description);
    runs.emplace_back(subcommand, command.add(*subcommand));
  }
  CLI11_PARSE(app, argc, argv);
  for (const auto& [subcommand, run] : runs) {
    if (!subcommand->parsed()) continue;
    const sutra::Status status = run();
    if (!status) {
      sutra::cli::show_progress({});
      std::fprintf(stderr, "sutra %s: %s (%s)\n", subcommand->get_name().c_str(), status.error().message.c_str(),
                   std::string(error_code_name(status.error().code)).c_str());
      return 1;
    }
  }
  return 0;
}
