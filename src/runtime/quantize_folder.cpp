#include "runtime/quantize_folder.h"

#include <span>
#include <vector>

#include "runtime/model_folder.h"

namespace sutra {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

Result<Sequences> read_sequences(const std::string& model, const QuantizeFolderOptions& options) {
  if (options.quantize.method == QuantizeOptions::Method::kRtn) return Sequences();
  if (options.calibration_path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "this method needs a calibration text");
  }
  SUTRA_ASSIGN(const text::Tokenizer tokenizer,
               load_tokenizer(options.tokenizer_path.empty() ? model : options.tokenizer_path));
  SUTRA_ASSIGN(const std::string text, read_text_file(options.calibration_path, kMaxTextBytes));
  return calibration_sequences(tokenizer, text, options.calibration);
}

Status give_wanted(std::span<const InputFile> sources, Quantizer& quantizer) {
  std::vector<std::byte> bytes;
  for (Quantizer::Wanted wanted = quantizer.wanted(); wanted.range.size > 0; wanted = quantizer.wanted()) {
    bytes.resize(static_cast<size_t>(wanted.range.size));
    SUTRA_ASSIGN(const size_t n, sources[wanted.file].read_at(wanted.range.offset, bytes));
    SUTRA_TRY(quantizer.give(std::span(bytes).first(n)));
  }
  return {};
}

}  // namespace

Result<QuantizeReport> quantize_folder(const std::string& model, const std::string& out,
                                       const QuantizeFolderOptions& options, const QuantizeProgress& progress) {
  SUTRA_ASSIGN(const ModelPaths paths, find_model(model));
  SUTRA_ASSIGN(Sequences sequences, read_sequences(model, options));
  FolderOptions load;
  LeftMatrices left(kLargeMatrixBytes);
  load.load.filter = &left;
  load.overrides = options.overrides;
  SUTRA_ASSIGN(ModelWeights weights, load_model_weights(paths, load));
  weights.places = left.take_places();
  SUTRA_ASSIGN(Companions companions, read_companions(paths, options.tokenizer_path));
  SUTRA_ASSIGN(Quantizer quantizer, Quantizer::create(std::move(weights), std::move(companions), std::move(sequences),
                                                      options.quantize, options.n_threads));
  SUTRA_TRY(create_folders(out));
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(concat(out, "/", kWeightsName)));
  SUTRA_TRY(quantizer.begin(file));
  std::vector<InputFile> sources;
  for (const std::string& path : paths.weights) {
    SUTRA_ASSIGN(InputFile source, InputFile::open(path));
    sources.push_back(std::move(source));
  }
  for (bool more = true; more;) {
    SUTRA_TRY(give_wanted(sources, quantizer));
    SUTRA_ASSIGN(more, quantizer.step());
    if (!progress(quantizer)) return fail(ErrorCode::kCancelled, "quantising was stopped");
  }
  for (const NamedText& beside : quantizer.files_beside()) {
    SUTRA_TRY(write_file_atomically(concat(out, "/", beside.name), std::as_bytes(std::span(beside.text))));
  }
  // Last, so that a folder with weights in it is complete.
  SUTRA_TRY(file.commit());
  return quantizer.report();
}

}  // namespace sutra
