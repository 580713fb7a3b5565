#include <cstdio>

#include "cli/command.h"
#include "runtime/init_folder.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string config, out;
  uint64_t seed = 0;
  bool json = false;
};

Status run(const Options& options) {
  catch_interrupts();
  SUTRA_ASSIGN(const InitReport report,
               init_folder(options.config, options.seed, options.out, [](size_t n_done, size_t n_tensors) {
                 show_progress(concat("init: ", n_done, " of ", n_tensors, " tensors"));
                 return go_on();
               }));
  show_progress({});
  if (options.json) {
    print_json({{"parameters", report.n_parameters}, {"bytes", report.bytes}});
  } else {
    std::printf("%llu parameters, %llu bytes\n", static_cast<unsigned long long>(report.n_parameters),
                static_cast<unsigned long long>(report.bytes));
  }
  return {};
}

}  // namespace

Run add_init(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--config", options->config, "config.json of the shape (bench/shapes has some)")->required();
  app.add_option("--seed", options->seed, "the same seed gives the same weights")->capture_default_str();
  app.add_option("--out", options->out, "folder to write")->required();
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
