#include "runtime/convert_folder.h"

#include <optional>
#include <span>

#include "runtime/model_folder.h"

namespace sutra {
namespace {

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
