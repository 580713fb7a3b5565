#include "shared.h"

#include <emscripten.h>

#include <cstring>

#include "base/aligned_buffer.h"
#include "runtime/hash.h"

namespace sutra::wasm {
namespace {

struct Shared {
  Outbox out;
  AlignedBuffer input;
  std::optional<Sha256> hash;
  std::optional<ModelLoader> loader;
};

Shared& shared() {
  static Shared the_one;
  return the_one;
}

}  // namespace

Outbox& out() { return shared().out; }

std::span<const std::byte> input(uint32_t size_bytes) { return shared().input.bytes().first(size_bytes); }

std::string_view input_text(uint32_t size_bytes) {
  const auto bytes = input(size_bytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<int32_t> input_ids(uint32_t size_bytes) {
  std::vector<int32_t> ids(size_bytes / sizeof(int32_t));
  std::memcpy(ids.data(), shared().input.data(), ids.size() * sizeof(int32_t));
  return ids;
}

std::vector<std::string> unpack_texts(std::span<const std::byte> bytes) {
  std::vector<std::string> texts;
  while (bytes.size() >= sizeof(uint32_t)) {
    uint32_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    bytes = bytes.subspan(sizeof(size));
    SUTRA_ASSERT(size <= bytes.size());
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), size);
    bytes = bytes.subspan(size);
  }
  return texts;
}

void drop_input() { shared().input = AlignedBuffer(); }

std::optional<ModelLoader>& loader() { return shared().loader; }

const Reply* begin_loading(const LoadOptions& options) {
  shared().hash.reset();
  loader().reset();
  auto begun = ModelLoader::create(options);
  if (!begun) return out().failed(std::move(begun).error());
  loader().emplace(std::move(*begun));
  return out().ok();
}

}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

// Room for `size_bytes` of the next call's input; null if memory is refused. Keeps what it has if that is enough.
EMSCRIPTEN_KEEPALIVE void* sutra_input(uint32_t size_bytes) {
  AlignedBuffer& buffer = shared().input;
  if (buffer.size() < size_bytes) {
    buffer = AlignedBuffer();
    auto larger = AlignedBuffer::create(size_bytes);
    if (!larger) return nullptr;
    buffer = std::move(*larger);
  }
  return buffer.data();
}

// values: bytes in use by large buffers, most there ever were
EMSCRIPTEN_KEEPALIVE const Reply* sutra_memory() {
  const MemoryUse use = memory_use();
  return out().ok({double(use.current_bytes), double(use.peak_bytes)});
}

// SHA-256 of all input shown to sutra_hash since the last sutra_hash_finish, whose text it is in hexadecimal.
EMSCRIPTEN_KEEPALIVE const Reply* sutra_hash(uint32_t size_bytes) {
  std::optional<Sha256>& hash = shared().hash;
  if (!hash) hash.emplace();
  hash->update(input(size_bytes));
  return out().ok();
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_hash_finish() {
  std::optional<Sha256>& hash = shared().hash;
  if (!hash) hash.emplace();
  const std::string digest = to_hex(hash->finish());
  hash.reset();
  return out().ok({}, digest);
}

// input: config.json of config_bytes (0: there is none), then overrides, packed
EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_config(uint32_t config_bytes, uint32_t input_bytes) {
  const std::vector<std::string> overrides = unpack_texts(input(input_bytes).subspan(config_bytes));
  return out().of(loader()->set_config(input(config_bytes), overrides));
}

// input: the file's name
EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_file(uint32_t name_bytes, double file_bytes) {
  return out().of(loader()->begin_file(std::string(input_text(name_bytes)), static_cast<uint64_t>(file_bytes)));
}

// values: where the bytes of the file begin that are wanted next, how many there are (0 when it was read), and whether
// bytes are wanted in order
EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_wanted() {
  const ByteRange wanted = loader()->wanted();
  return out().ok({double(wanted.offset), double(wanted.size), double(loader()->in_order())});
}

// input: the first of the wanted bytes
EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_chunk(uint32_t size_bytes) {
  return out().of(loader()->feed(input(size_bytes)));
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_file_end() { return out().of(loader()->end_file()); }

}  // extern "C"
