#include "workshop.h"

#include <emscripten.h>

#include <string>
#include <string_view>
#include <utility>

#include "shared.h"

// Of WorkshopHeap in bindings/js/workshop.ts; 0 where there was no room.
EM_JS(int, sutra_written, (const void* at, size_t size_bytes), { return Module.written(at, size_bytes); })

namespace sutra::wasm {

Status PageSink::write(std::span<const std::byte> bytes) {
  if (bytes.empty() || sutra_written(bytes.data(), bytes.size()) != 0) return {};
  return fail(ErrorCode::kOutOfMemory, "memory for ", bytes.size(), " bytes of the file was refused");
}

Companions& companions() {
  static Companions the_companions;
  return the_companions;
}

std::optional<LeftMatrices>& left_matrices() {
  static std::optional<LeftMatrices> the_matrices;
  return the_matrices;
}

PageSink& file_sink() {
  static PageSink the_sink;
  return the_sink;
}

}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

// Before any weights. leaves_matrices: large ones stay in their files until the work asks for them
EMSCRIPTEN_KEEPALIVE const Reply* sutra_weights_begin(uint32_t leaves_matrices) {
  companions() = Companions();
  return begin_loading(
      {.weights_only = true, .filter = leaves_matrices != 0 ? &left_matrices().emplace(kLargeMatrixBytes) : nullptr});
}

// input: the name, of name_bytes, of a file beside the weights, then the text in it: a tokenizer, or what goes along
EMSCRIPTEN_KEEPALIVE const Reply* sutra_weights_companion(uint32_t name_bytes, uint32_t input_bytes,
                                                          uint32_t is_tokenizer) {
  const std::string_view whole = input_text(input_bytes);
  NamedText companion{std::string(whole.substr(0, name_bytes)), std::string(whole.substr(name_bytes))};
  if (is_tokenizer != 0) {
    companions().tokenizer = std::move(companion);
  } else {
    companions().others.push_back(std::move(companion));
  }
  return out().ok();
}

}  // extern "C"
