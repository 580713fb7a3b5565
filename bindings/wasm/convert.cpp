#include <emscripten.h>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "runtime/converter.h"
#include "shared.h"
#include "workshop.h"

namespace sutra::wasm {
namespace {

std::optional<Converter>& converter() {
  static std::optional<Converter> the_converter;
  return the_converter;
}

// In the order of bindings/js/converter.ts.
constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kF16, Dtype::kQ8_0, Dtype::kQ4_0};

}  // namespace
}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

// Of the weights fed so far; writes the weights' file up to its first tensor. text: the architecture. values: tensors,
// bytes of the weights' file, whether there is a tokenizer, files beside
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_begin(uint32_t is_gguf, uint32_t dtype) {
  auto weights = loader()->finish_weights();
  loader().reset();
  drop_input();
  if (!weights) return out().failed(std::move(weights).error());
  using Format = ConvertOptions::Format;
  const ConvertOptions options{is_gguf != 0 ? Format::kGguf : Format::kSafetensors, kDtypes[dtype]};
  auto created = Converter::create(std::move(*weights), std::move(companions()), options);
  if (!created) return out().failed(std::move(created).error());
  converter().emplace(std::move(*created));
  if (Status begun = converter()->begin(file_sink()); !begun) return out().failed(std::move(begun).error());
  const ConvertReport report = converter()->report();
  return out().ok({double(report.n_tensors), double(report.n_bytes), double(report.has_tokenizer),
                   double(converter()->files_beside().size())},
                  report.architecture);
}

// Writes the next tensor.
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_next() { return out().of(converter()->write_next()); }

// text: the name of a file beside the weights. data: what is in it
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_file(uint32_t index) {
  const NamedText& file = converter()->files_beside()[index];
  return out().view(std::span<const char>(file.text), {}, file.name);
}

}  // extern "C"
