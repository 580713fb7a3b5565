#include "io/tensor_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "io/file.h"
#include "io/safetensors_file.h"
#include "io/torch_file.h"

namespace sutra {
namespace {

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

Result<TensorTable> read_torch_table(const InputFile& file) {
  TorchReader reader(file.size(), nullptr);
  AlignedBuffer buffer;
  for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
    SUTRA_ASSIGN(buffer, AlignedBuffer::create(range.size, Contents::kUndefined));
    SUTRA_ASSIGN(const size_t n, file.read_at(range.offset, buffer.bytes()));
    if (n < range.size) return fail(ErrorCode::kTruncated, "the file became shorter while it was read");
    SUTRA_TRY(reader.give(buffer.bytes()));
  }
  return TensorTable{"torch", file.size(), *reader.tensors(), {}};
}

}  // namespace

Result<TensorTable> read_tensor_table(const std::string& path) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  std::array<std::byte, kTorchMagicBytes> first_bytes{};
  SUTRA_ASSIGN(const size_t n, file.read_at(0, first_bytes));
  if (!looks_like_torch_file(std::span(first_bytes).first(n))) {
    SUTRA_ASSIGN(SafetensorsHeader header, read_safetensors_header(path));
    return TensorTable{"safetensors", file.size(), std::move(header.tensors), std::move(header.metadata)};
  }
  auto table = read_torch_table(file);
  if (!table) return fail(table.error().code, file_name(path), ": ", table.error().message);
  return table;
}

}  // namespace sutra
