// Work on models that does not run them: converting. A module of its own, fetched when it is wanted, so that a page that
// runs a model does not pay for it. bindings/js/workshop.ts is the only caller. One model a module.
#include <emscripten.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/aligned_buffer.h"
#include "runtime/converter.h"
#include "shared.h"

namespace sutra::wasm {
namespace {

// Keeps what one call writes. Of a large tensor, so that memory that is refused is an error and no trap.
class BufferSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte> bytes) override {
    constexpr size_t kPadding = 64;  // follows a tensor
    if (bytes.size() > buffer_.size() - size_) {
      SUTRA_ASSIGN(AlignedBuffer larger,
                   AlignedBuffer::create(uint64_t{size_} + bytes.size() + kPadding, Contents::kUndefined));
      std::ranges::copy(this->bytes(), larger.data());
      buffer_ = std::move(larger);
    }
    std::ranges::copy(bytes, buffer_.data() + size_);
    size_ += bytes.size();
    return {};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return buffer_.bytes().first(size_); }
  void clear() {
    buffer_ = AlignedBuffer();
    size_ = 0;
  }

 private:
  AlignedBuffer buffer_;
  size_t size_ = 0;
};

struct Instance {
  Companions companions;
  BufferSink sink;
  std::optional<Converter> converter;
};

Instance& instance() {
  static Instance the_instance;
  return the_instance;
}

// In the order of bindings/js/workshop.ts.
constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kF16, Dtype::kQ8_0, Dtype::kQ4_0};

}  // namespace
}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

// Begins anew, whatever was done before.
EMSCRIPTEN_KEEPALIVE const Reply* sutra_weights_begin() {
  Instance& in = instance();
  in.converter.reset();
  in.companions = Companions();
  return begin_loading({.weights_only = true});
}

// input: the name, of name_bytes, of a file beside the weights, then the text in it: a tokenizer, or what goes along
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_companion(uint32_t name_bytes, uint32_t input_bytes,
                                                          uint32_t is_tokenizer) {
  Companions& companions = instance().companions;
  const std::string_view whole = input_text(input_bytes);
  NamedText companion{std::string(whole.substr(0, name_bytes)), std::string(whole.substr(name_bytes))};
  if (is_tokenizer != 0) {
    companions.tokenizer = std::move(companion);
  } else {
    companions.others.push_back(std::move(companion));
  }
  return out().ok();
}

// Of the weights fed so far. text: the architecture. values: tensors, bytes of the weights' file, whether there is a
// tokenizer, files beside. data: the weights' file up to its first tensor
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_begin(uint32_t is_gguf, uint32_t dtype) {
  Instance& in = instance();
  auto weights = loader()->finish_weights();
  loader().reset();
  drop_input();
  if (!weights) return out().failed(std::move(weights).error());
  using Format = ConvertOptions::Format;
  const ConvertOptions options{is_gguf != 0 ? Format::kGguf : Format::kSafetensors, kDtypes[dtype]};
  auto converter = Converter::create(std::move(*weights), std::move(in.companions), options);
  if (!converter) return out().failed(std::move(converter).error());
  in.converter.emplace(std::move(*converter));
  in.sink.clear();
  if (Status begun = in.converter->begin(in.sink); !begun) return out().failed(std::move(begun).error());
  const ConvertReport report = in.converter->report();
  return out().view(in.sink.bytes(),
                    {double(report.n_tensors), double(report.n_bytes), double(report.has_tokenizer),
                     double(in.converter->files_beside().size())},
                    report.architecture);
}

// data: the next tensor
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_next() {
  Instance& in = instance();
  in.sink.clear();
  if (Status written = in.converter->write_next(); !written) return out().failed(std::move(written).error());
  return out().view(in.sink.bytes());
}

// text: the name of a file beside the weights. data: what is in it
EMSCRIPTEN_KEEPALIVE const Reply* sutra_convert_file(uint32_t index) {
  const NamedText& file = instance().converter->files_beside()[index];
  return out().view(std::span<const char>(file.text), {}, file.name);
}

}  // extern "C"
