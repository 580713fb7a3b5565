#include "runtime/convert_folder.h"

#include <optional>
#include <span>

#include "runtime/model_folder.h"

namespace sutra {
namespace {

Result<Companions> read_companions(const ModelPaths& paths, const std::string& tokenizer_path) {
  Companions companions;
  const std::string& tokenizer = tokenizer_path.empty() ? paths.tokenizer : tokenizer_path;
  if (!tokenizer.empty()) {
    SUTRA_ASSIGN(companions.tokenizer, read_companion(tokenizer));
  }
  // They belong to the tokenizer beside the model.
  if (!tokenizer_path.empty()) return companions;
  for (const std::string& path : paths.companions) {
    if (path == paths.tokenizer) continue;
    SUTRA_ASSIGN(NamedText companion, read_companion(path));
    companions.others.push_back(std::move(companion));
  }
  return companions;
}

Status write_all(Converter& converter, ByteSink& sink, const ConvertProgress& progress) {
  SUTRA_TRY(converter.begin(sink));
  while (converter.n_done() < converter.n_tensors()) {
    SUTRA_TRY(converter.write_next());
    if (!progress(converter.n_done(), converter.n_tensors())) {
      return fail(ErrorCode::kCancelled, "converting was stopped");
    }
  }
  return {};
}

}  // namespace

Result<ConvertReport> convert_folder(const std::string& model, const std::string& out,
                                     const ConvertFolderOptions& options, const ConvertProgress& progress) {
  SUTRA_ASSIGN(const ModelPaths paths, find_model(model));
  FolderOptions load;
  load.overrides = options.overrides;
  SUTRA_ASSIGN(ModelWeights weights, load_model_weights(paths, load));
  SUTRA_ASSIGN(Companions companions, read_companions(paths, options.tokenizer_path));
  SUTRA_ASSIGN(Converter converter, Converter::create(std::move(weights), std::move(companions), options.convert));
  const bool is_folder = options.convert.format == ConvertOptions::Format::kSafetensors;
  if (is_folder) SUTRA_TRY(create_folders(out));
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(is_folder ? concat(out, "/", kWeightsName) : out));
  SUTRA_TRY(write_all(converter, file, progress));
  for (const NamedText& beside : converter.files_beside()) {
    SUTRA_TRY(write_file_atomically(concat(out, "/", beside.name), std::as_bytes(std::span(beside.text))));
  }
  // Last, so that a folder with weights in it is complete.
  SUTRA_TRY(file.commit());
  return converter.report();
}

}  // namespace sutra
