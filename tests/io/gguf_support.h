// GGUF files as bytes, put together field by field.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"
#include "io/safetensors_support.h"

namespace sutra::test {

class GgufBytes {
 public:
  template <class T>
  static std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string raw_text(std::string_view text) { return raw(uint64_t{text.size()}) + std::string(text); }
  template <class T>
  static std::string raw_array(GgufType type, const std::vector<T>& values) {
    std::string out = raw(type) + raw(uint64_t{values.size()});
    for (const T& value : values) out += raw(value);
    return out;
  }

  GgufBytes& key(std::string_view name, GgufType type, std::string_view value) {
    keys_ += raw_text(name) + raw(type) + std::string(value);
    ++n_keys_;
    return *this;
  }
  GgufBytes& text(std::string_view name, std::string_view value) {
    return key(name, GgufType::kString, raw_text(value));
  }
  GgufBytes& u32(std::string_view name, uint32_t value) { return key(name, GgufType::kU32, raw(value)); }
  GgufBytes& f32(std::string_view name, float value) { return key(name, GgufType::kF32, raw(value)); }
  GgufBytes& boolean(std::string_view name, bool value) {
    return key(name, GgufType::kBool, raw(static_cast<uint8_t>(value)));
  }
  GgufBytes& texts(std::string_view name, const std::vector<std::string>& values) {
    std::string value = raw(GgufType::kString) + raw(uint64_t{values.size()});
    for (const std::string& one : values) value += raw_text(one);
    return key(name, GgufType::kArray, value);
  }
  GgufBytes& i32s(std::string_view name, const std::vector<int32_t>& values) {
    return key(name, GgufType::kArray, raw_array(GgufType::kI32, values));
  }

  // Dimensions innermost first, as in the file.
  GgufBytes& tensor_at(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    tensors_ += raw_text(name) + raw(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) tensors_ += raw(dim);
    tensors_ += raw(type) + raw(offset);
    ++n_tensors_;
    return *this;
  }
  GgufBytes& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, std::string_view bytes) {
    data_.resize((data_.size() + 31) / 32 * 32);
    tensor_at(name, dims, type, data_.size());
    data_ += bytes;
    return *this;
  }

  [[nodiscard]] Bytes build(uint32_t version = 3) const {
    std::string out = "GGUF" + raw(version) + raw(n_tensors_) + raw(n_keys_) + keys_ + tensors_;
    if (!data_.empty()) out.resize((out.size() + 31) / 32 * 32);
    out += data_;
    const auto bytes = std::as_bytes(std::span(out));
    return {bytes.begin(), bytes.end()};
  }

 private:
  uint64_t n_keys_ = 0, n_tensors_ = 0;
  std::string keys_, tensors_, data_;
};

// Gives the reader what it asks for, in pieces of at most `chunk_bytes`, as long as the file has it.
inline Status drive(TensorReader& reader, std::span<const std::byte> file, size_t chunk_bytes) {
  for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
    // No assertion a range: every one is written to the report, and there are millions.
    if (range.offset > file.size() || range.size > file.size() - range.offset)
      FAIL("bytes outside of the file are wanted");
    const size_t n = std::min<size_t>(range.size, chunk_bytes);
    SUTRA_TRY(reader.give(file.subspan(static_cast<size_t>(range.offset), n)));
  }
  return reader.finish();
}

inline Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file, size_t chunk_bytes = SIZE_MAX) {
  GgufReader reader(file.size(), nullptr);
  SUTRA_TRY(drive(reader, file, chunk_bytes));
  return *reader.header();
}

inline Result<TensorMap> load_gguf(std::span<const std::byte> file, size_t chunk_bytes = SIZE_MAX) {
  TensorMap tensors;
  TensorMapSink sink(tensors, {.check_finite = false});
  GgufReader reader(file.size(), &sink);
  SUTRA_TRY(drive(reader, file, chunk_bytes));
  return tensors;
}

}  // namespace sutra::test
