#include "io/safetensors_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "io/file.h"

namespace sutra {
namespace {

// The last part of a path: what messages call the file.
std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

Status load_safetensors_file(const std::string& path, TensorMap& out, TensorMapSinkOptions options) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  SUTRA_ASSIGN(AlignedBuffer chunk, AlignedBuffer::create(std::min<uint64_t>(kFileChunkBytes, file.size())));
  TensorMapSink sink(out, options);
  SafetensorsStream stream(file_name(path), file.size(), sink);
  for (uint64_t offset = 0; offset < file.size();) {
    SUTRA_ASSIGN(const size_t n, file.read_at(offset, chunk.bytes()));
    if (n == 0) break;  // the file shrank since it was opened: finish() says so
    SUTRA_TRY(stream.feed(chunk.bytes().first(static_cast<size_t>(std::min<uint64_t>(n, file.size() - offset)))));
    offset += n;
  }
  return stream.finish();
}

Result<SafetensorsHeader> read_safetensors_header(const std::string& path) {
  const auto named = [&](const Error& error) { return fail(error.code, file_name(path), ": ", error.message); };
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  std::array<std::byte, kSafetensorsLengthBytes> first_bytes{};
  SUTRA_ASSIGN(const size_t n, file.read_at(0, first_bytes));
  const auto header_bytes = safetensors_header_bytes(std::span(first_bytes).first(n), file.size());
  if (!header_bytes) return named(header_bytes.error());
  SUTRA_ASSIGN(AlignedBuffer json, AlignedBuffer::create(*header_bytes));
  SUTRA_ASSIGN(const size_t json_bytes, file.read_at(kSafetensorsLengthBytes, json.bytes()));
  auto header = parse_safetensors_header(json.bytes().first(json_bytes), file.size());
  if (!header) return named(header.error());
  return header;
}

}  // namespace sutra
