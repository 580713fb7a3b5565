#include "runtime/logits_file.h"

#include "cli/command.h"

namespace sutra::cli {
namespace {

struct Options {
  ModelOptions model;
  IdsOptions ids;
  std::string out;
};

Status run(const Options& options) {
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  SUTRA_ASSIGN(const std::vector<int32_t> ids, options.ids.read());
  return write_logits_file(*engine, ids, options.out);
}

}  // namespace

Run add_logits(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->model.add_to(app);
  options->ids.add_to(app);
  app.add_option("--out", options->out, "safetensors file to write: logits [T, V] and state.*")->required();
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
