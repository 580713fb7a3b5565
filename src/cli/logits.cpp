#include <algorithm>

#include "cli/command.h"
#include "io/file.h"
#include "io/safetensors_writer.h"
#include "model/state.h"

namespace sutra::cli {
namespace {

constexpr size_t kChunkTokens = 64;

struct Options {
  ModelOptions model;
  IdsOptions ids;
  std::string out;
};

Status run(const Options& options) {
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  SUTRA_ASSIGN(const std::vector<int32_t> ids, options.ids.read());
  SUTRA_TRY(engine->check_ids(ids));
  const size_t vocab_size = engine->info().vocab_size;
  const StateLayout& layout = engine->model().state_layout();
  SUTRA_ASSIGN(State state, State::create(layout));
  SUTRA_ASSIGN(Workspace workspace, engine->create_workspace(kChunkTokens));
  SUTRA_ASSIGN(Tensor logits, Tensor::create(Dtype::kF32, {ids.size(), vocab_size}));
  for (size_t first = 0; first < ids.size(); first += kChunkTokens) {
    const size_t n = std::min(kChunkTokens, ids.size() - first);
    engine->forward(state, std::span(ids).subspan(first, n), LogitsWanted::kAll, workspace,
                    logits.as<float>().subspan(first * vocab_size, n * vocab_size));
  }

  std::vector<TensorSpec> specs = {{"logits", Dtype::kF32, logits.shape()}};
  for (const StateField& field : layout.fields) specs.push_back({"state." + field.name, Dtype::kF32, field.published});
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(options.out));
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(file, specs));
  SUTRA_TRY(writer.write("logits", logits.view()));
  for (const StateField& field : layout.fields) {
    SUTRA_ASSIGN(const Tensor tensor, publish_field(field, state));
    SUTRA_TRY(writer.write("state." + field.name, tensor.view()));
  }
  SUTRA_TRY(writer.finish());
  return file.commit();
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
