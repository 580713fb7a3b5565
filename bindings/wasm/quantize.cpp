#include <emscripten.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "runtime/calibration.h"
#include "runtime/gguf_tokenizer.h"
#include "runtime/quantizer.h"
#include "runtime/quantizer_checkpoint.h"
#include "shared.h"
#include "workshop.h"

namespace sutra::wasm {
namespace {

std::optional<Quantizer>& quantizer() {
  static std::optional<Quantizer> the_quantizer;
  return the_quantizer;
}

// In the order of bindings/js/quantizer.ts.
constexpr QuantizeOptions::Method kMethods[] = {QuantizeOptions::Method::kAwq, QuantizeOptions::Method::kRtn,
                                                QuantizeOptions::Method::kGptq};

Result<text::Tokenizer> tokenizer_of(const Companions& companions, const GgufMetadata& metadata) {
  if (!companions.tokenizer) return gguf_tokenizer(metadata);
  return text::Tokenizer::from_file(std::as_bytes(std::span(companions.tokenizer->text)));
}

Result<Quantizer> create(uint32_t text_bytes, const QuantizeOptions& options, const CalibrationOptions& calibration,
                         uint32_t n_threads) {
  SUTRA_ASSIGN(ModelWeights weights, loader()->finish_weights());
  loader().reset();
  weights.places = left_matrices()->take_places();
  Sequences sequences;
  if (options.method != QuantizeOptions::Method::kRtn) {
    SUTRA_ASSIGN(const text::Tokenizer tokenizer, tokenizer_of(companions(), weights.tokenizer));
    SUTRA_ASSIGN(sequences, calibration_sequences(tokenizer, input_text(text_bytes), calibration));
  }
  drop_input();
  return Quantizer::create(std::move(weights), std::move(companions()), std::move(sequences), options, n_threads);
}

}  // namespace
}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

// Of the weights fed so far; writes the weights' file up to its first tensor. input: the calibration text. text: the
// architecture. values: files beside
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_begin(uint32_t text_bytes, uint32_t method, uint32_t bits,
                                                       uint32_t group_size, uint32_t keep_embeddings,
                                                       uint32_t n_sequences, uint32_t n_context, uint32_t n_threads) {
  quantizer().reset();
  auto created = create(text_bytes, {kMethods[method], static_cast<int>(bits), group_size, keep_embeddings != 0},
                        {n_sequences, n_context}, n_threads);
  if (!created) return out().failed(std::move(created).error());
  quantizer().emplace(std::move(*created));
  if (Status begun = quantizer()->begin(file_sink()); !begun) return out().failed(std::move(begun).error());
  return out().ok({double(quantizer()->files_beside().size())}, std::string(quantizer()->architecture()));
}

// values: the file, in the order in which they were fed, that bytes are wanted of before the next step, where they begin, and
// how many there are (0: none are wanted)
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_wanted() {
  const Quantizer::Wanted wanted = quantizer()->wanted();
  return out().ok({double(wanted.file), double(wanted.range.offset), double(wanted.range.size)});
}

// input: all of the wanted bytes
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_give(uint32_t size_bytes) {
  return out().of(quantizer()->give(input(size_bytes)));
}

// A piece of the work; writes what of the weights' file is ready. text: what is being done. values: whether there is more,
// and the share that is done
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_step() {
  const Result<bool> more = quantizer()->step();
  if (!more) return out().failed(more.error());
  return out().ok({double(*more), quantizer()->fraction()}, quantizer()->stage_name());
}

// Writes a checkpoint's beginning, a file of its own. values: whether it did, as the step before ended a stage
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_checkpoint() {
  if (!quantizer()->is_between_stages()) return out().ok({0});
  if (Status begun = quantizer()->begin_checkpoint(file_sink()); !begun) return out().failed(std::move(begun).error());
  return out().ok({1});
}

// Writes what comes next of the checkpoint. values: whether there is more
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_checkpoint_next() {
  const Result<bool> more = quantizer()->write_checkpoint();
  if (!more) return out().failed(more.error());
  return out().ok({double(*more)});
}

// input: a piece of a checkpoint of file_bytes, the first of which begins at 0; with the last one the work goes on from there.
// values, then: bytes of the weights' file before that
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_resume(uint32_t size_bytes, double at, double file_bytes) {
  static std::optional<CheckpointReader> reader;
  if (at == 0) reader.emplace(static_cast<uint64_t>(file_bytes));
  if (Status fed = reader->feed(input(size_bytes)); !fed) return out().failed(std::move(fed).error());
  if (at + size_bytes < file_bytes) return out().ok();
  auto tensors = reader->finish();
  reader.reset();
  if (!tensors) return out().failed(std::move(tensors).error());
  if (Status resumed = quantizer()->resume(std::move(*tensors)); !resumed) {
    return out().failed(std::move(resumed).error());
  }
  return out().ok({double(quantizer()->written_bytes())});
}

// values: tensors, bytes before and after, compression of the quantised matrices, tokens calibrated with
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_report() {
  const QuantizeReport& report = quantizer()->report();
  return out().ok({double(report.tensors.size()), double(report.bytes_before), double(report.bytes_after),
                   report.compression, double(report.n_calibration_tokens)});
}

// Of a tensor of the report. text: its name and, behind a line feed, why it was kept. values: bytes before and after, bits,
// group size, error rounded to nearest and as it is, exponent of the scales (NaN: none), whether duo, share of groups cut
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_tensor(uint32_t index) {
  const QuantizedTensor& t = quantizer()->report().tensors[index];
  return out().ok(
      {double(t.bytes_before), double(t.bytes_after), double(t.bits), double(t.group_size), t.error_rtn, t.error,
       t.ratio ? double(*t.ratio) : std::numeric_limits<double>::quiet_NaN(), double(t.duo), t.cut},
      concat(t.name, "\n", t.kept_because));
}

// text: the name of a file beside the weights. data: what is in it
EMSCRIPTEN_KEEPALIVE const Reply* sutra_quantize_file(uint32_t index) {
  const NamedText& file = quantizer()->files_beside()[index];
  return out().view(std::span<const char>(file.text), {}, file.name);
}

}  // extern "C"
