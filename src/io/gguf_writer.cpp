#include "io/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <span>

#include "base/checked.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "io/gguf_header.h"

namespace sutra {
namespace {

static_assert(std::endian::native == std::endian::little);

class HeaderBytes {
 public:
  template <class T>
  void number(T value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  void text(std::string_view text) {
    number(uint64_t{text.size()});
    append(std::as_bytes(std::span(text)));
  }
  void append(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  void value(const GgufValue& value) {
    number(static_cast<uint32_t>(value.type));
    std::visit(Overloaded{[&](uint64_t v) { low_bytes(value.type, v); },
                          [&](int64_t v) { low_bytes(value.type, std::bit_cast<uint64_t>(v)); },
                          [&](double v) { value.type == GgufType::kF32 ? number(static_cast<float>(v)) : number(v); },
                          [&](bool v) { number(static_cast<uint8_t>(v)); }, [&](const std::string& v) { text(v); },
                          [&](const GgufArray& v) { array(v); }},
               value.value);
  }
  void pad() { bytes_.resize(round_up(bytes_.size(), size_t{kGgufAlignment})); }

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void low_bytes(GgufType type, uint64_t value) {
    append(std::as_bytes(std::span(&value, 1)).first(gguf_type_bytes(type)));
  }
  void array(const GgufArray& array) {
    number(static_cast<uint32_t>(array.type));
    number(uint64_t{array.size()});
    if (array.type != GgufType::kString) return append(array.bytes);
    for (size_t i = 0; i < array.size(); ++i) text(array.text(i));
  }

  std::vector<std::byte> bytes_;
};

// From the end of n_bytes to where the next tensor may begin.
size_t padding_after(uint64_t n_bytes) {
  return (kGgufAlignment - static_cast<size_t>(n_bytes % kGgufAlignment)) % kGgufAlignment;
}

// What we write we can read: the reader's rules are the writer's.
Status check(std::span<const std::byte> header, uint64_t file_bytes) {
  GgufHeaderParser parser(file_bytes);
  size_t n_taken = 0;
  while (!parser.is_done()) {
    const auto taken = parser.take(header.subspan(n_taken));
    if (!taken) return fail(ErrorCode::kInvalidArgument, "the header would be refused: ", taken.error().message);
    if (*taken == 0) return fail(ErrorCode::kInvalidArgument, "the header would be refused: it does not end");
    n_taken += *taken;
  }
  return {};
}

}  // namespace

Result<GgufWriter> GgufWriter::create(ByteSink& sink, const GgufMetadata& metadata,
                                      const std::vector<TensorSpec>& specs) {
  HeaderBytes header;
  header.append(std::as_bytes(std::span(std::string_view("GGUF"))));
  header.number(uint32_t{3});
  header.number(uint64_t{specs.size()});
  header.number(uint64_t{metadata.entries().size()});
  for (const auto& [key, value] : metadata.entries()) {
    header.text(key);
    header.value(value);
  }
  uint64_t offset = 0;
  for (const TensorSpec& spec : specs) {
    const auto type = gguf_tensor_type(spec.dtype);
    if (!type) {
      return fail(ErrorCode::kInvalidArgument, "tensor '", printable(spec.name), "': GGUF files have no ",
                  dtype_name(spec.dtype));
    }
    header.text(spec.name);
    header.number(static_cast<uint32_t>(spec.shape.n_dims()));
    for (size_t i = spec.shape.n_dims(); i-- > 0;) header.number(spec.shape[i]);
    header.number(*type);
    header.number(offset);
    SUTRA_ASSIGN(const uint64_t n_bytes, tensor_bytes(spec.dtype, spec.shape));
    const auto end = checked_add(offset, n_bytes);
    const auto next = end ? checked_add(*end, padding_after(n_bytes)) : std::nullopt;
    if (!next) return fail(ErrorCode::kTooLarge, "the tensors exceed 64 bits of bytes");
    offset = *next;
  }
  header.pad();
  GgufWriter writer(sink, specs);
  writer.file_bytes_ = header.bytes().size() + offset;
  SUTRA_TRY(check(header.bytes(), writer.file_bytes_));
  SUTRA_TRY(sink.write(header.bytes()));
  return writer;
}

Status GgufWriter::write(std::string_view name, const TensorView& tensor) {
  if (next_spec_ == specs_.size()) {
    return fail(ErrorCode::kInvalidArgument, "tensor '", printable(name), "' was not announced");
  }
  const TensorSpec& spec = specs_[next_spec_];
  if (name != spec.name || tensor.dtype != spec.dtype || tensor.shape != spec.shape) {
    return fail(ErrorCode::kInvalidArgument, "expected tensor '", printable(spec.name), "', found '", printable(name),
                "', ", dtype_name(tensor.dtype), " ", tensor.shape.to_string());
  }
  ++next_spec_;
  SUTRA_TRY(sink_->write(tensor.bytes));
  constexpr std::byte kPadding[kGgufAlignment] = {};
  return sink_->write(std::span(kPadding).first(padding_after(tensor.bytes.size())));
}

Status GgufWriter::finish() {
  if (next_spec_ == specs_.size()) return {};
  return fail(ErrorCode::kInvalidArgument, "tensor '", printable(specs_[next_spec_].name),
              "' was announced and not written");
}

}  // namespace sutra
