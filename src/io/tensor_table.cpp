#include "io/tensor_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "io/file.h"
#include "io/gguf.h"
#include "io/safetensors_file.h"
#include "io/torch_file.h"

namespace sutra {
namespace {

// Its type, its length and as many elements as make a line.
std::string summary_of(const GgufArray& array) {
  constexpr size_t kShown = 8;
  std::string text = concat(gguf_type_name(array.type), "[", array.size(), "]");
  for (size_t i = 0; i < std::min(kShown, array.size()); ++i) {
    text += i == 0 ? ": " : ", ";
    text += array.spell(i);
  }
  if (array.size() > kShown) text += ", ...";
  return text;
}

JsonScalar scalar_of(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> JsonScalar {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, GgufArray>)
          return summary_of(v);
        else
          return v;
      },
      value.value);
}

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// All that a reader without a sink wants.
Status read_all(const InputFile& file, TensorReader& reader) {
  AlignedBuffer buffer;
  for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
    SUTRA_ASSIGN(buffer, AlignedBuffer::create(range.size, Contents::kUndefined));
    SUTRA_ASSIGN(const size_t n, file.read_at(range.offset, buffer.bytes()));
    if (n < range.size) return fail(ErrorCode::kTruncated, "the file became shorter while it was read");
    SUTRA_TRY(reader.give(buffer.bytes()));
  }
  return reader.finish();
}

Result<TensorTable> read_torch_table(const InputFile& file) {
  TorchReader reader(file.size(), nullptr);
  SUTRA_TRY(read_all(file, reader));
  return TensorTable{"torch", file.size(), *reader.tensors(), {}};
}

Result<TensorTable> read_gguf_table(const InputFile& file) {
  SUTRA_ASSIGN(GgufHeader header, read_gguf_header(file));
  TensorTable table{"gguf", file.size(), std::move(header.tensors), {}};
  for (const auto& [key, value] : header.metadata.entries()) table.metadata.emplace_back(key, scalar_of(value));
  return table;
}

Result<TensorTable> read_safetensors_table(const InputFile& file) {
  SUTRA_ASSIGN(SafetensorsHeader header, read_safetensors_header(file.path()));
  TensorTable table{"safetensors", file.size(), std::move(header.tensors), {}};
  for (auto& [key, value] : header.metadata) table.metadata.emplace_back(std::move(key), std::move(value));
  return table;
}

}  // namespace

Result<GgufHeader> read_gguf_header(const InputFile& file) {
  GgufReader reader(file.size(), nullptr);
  SUTRA_TRY(read_all(file, reader));
  return *reader.header();
}

Result<TensorTable> read_tensor_table(const std::string& path) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  std::array<std::byte, kTorchMagicBytes> first_bytes{};
  SUTRA_ASSIGN(const size_t n, file.read_at(0, first_bytes));
  const auto first = std::span(first_bytes).first(n);
  if (!looks_like_torch_file(first) && !looks_like_gguf(first)) return read_safetensors_table(file);
  auto table = looks_like_gguf(first) ? read_gguf_table(file) : read_torch_table(file);
  if (!table) return fail(table.error().code, file_name(path), ": ", table.error().message);
  return table;
}

}  // namespace sutra
