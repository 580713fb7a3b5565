#include "io/gguf_metadata.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/assert.h"

namespace sutra {
namespace {

// "an array of i32" or the type itself.
std::string describe(const GgufValue& value) {
  if (const auto* const array = std::get_if<GgufArray>(&value.value)) {
    return concat("an array of ", gguf_type_name(array->type));
  }
  return std::string(gguf_type_name(value.type));
}

std::unexpected<Error> wrong_type(std::string_view key, std::string_view expected, const GgufValue& found) {
  return fail(ErrorCode::kMalformed, "metadata '", printable(key), "': expected ", expected, ", found ",
              describe(found));
}

template <class T>
Result<std::optional<T>> find_as(const GgufMetadata& metadata, std::string_view key, std::string_view expected) {
  const GgufValue* const found = metadata.find(key);
  if (found == nullptr) return std::nullopt;
  const T* const value = std::get_if<T>(&found->value);
  if (value == nullptr) return wrong_type(key, expected, *found);
  return *value;
}

template <class T>
Result<T> present(Result<std::optional<T>> found, std::string_view key) {
  if (!found) return std::unexpected(std::move(found).error());
  if (!*found) return fail(ErrorCode::kNotFound, "metadata '", printable(key), "' is missing");
  return **found;
}

template <class T>
T element(const GgufArray& array, size_t i) {
  SUTRA_ASSERT(gguf_type_bytes(array.type) == sizeof(T) && i < array.size());
  T value{};
  std::memcpy(&value, array.bytes.data() + i * sizeof value, sizeof value);
  return value;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  switch (type) {
    case GgufType::kU8: return "u8";
    case GgufType::kI8: return "i8";
    case GgufType::kU16: return "u16";
    case GgufType::kI16: return "i16";
    case GgufType::kU32: return "u32";
    case GgufType::kI32: return "i32";
    case GgufType::kF32: return "f32";
    case GgufType::kBool: return "bool";
    case GgufType::kString: return "string";
    case GgufType::kArray: return "array";
    case GgufType::kU64: return "u64";
    case GgufType::kI64: return "i64";
    case GgufType::kF64: return "f64";
  }
  return "?";
}

size_t gguf_type_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool: return 1;
    case GgufType::kU16:
    case GgufType::kI16: return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32: return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return 0;
}

std::string_view GgufArray::text(size_t i) const {
  SUTRA_ASSERT(type == GgufType::kString);
  const size_t begin = i == 0 ? 0 : ends[i - 1];
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).substr(begin, ends[i] - begin);
}

int32_t GgufArray::i32(size_t i) const {
  SUTRA_ASSERT(type == GgufType::kI32);
  return element<int32_t>(*this, i);
}

std::string GgufArray::spell(size_t i) const {
  switch (type) {
    case GgufType::kU8: return concat(unsigned{element<uint8_t>(*this, i)});
    case GgufType::kI8: return concat(int{element<int8_t>(*this, i)});
    case GgufType::kU16: return concat(element<uint16_t>(*this, i));
    case GgufType::kI16: return concat(element<int16_t>(*this, i));
    case GgufType::kU32: return concat(element<uint32_t>(*this, i));
    case GgufType::kI32: return concat(element<int32_t>(*this, i));
    case GgufType::kF32: return concat(double{element<float>(*this, i)});
    case GgufType::kBool: return element<uint8_t>(*this, i) != 0 ? "true" : "false";
    case GgufType::kString: return std::string(text(i));
    case GgufType::kU64: return concat(element<uint64_t>(*this, i));
    case GgufType::kI64: return concat(element<int64_t>(*this, i));
    case GgufType::kF64: return concat(element<double>(*this, i));
    case GgufType::kArray: break;
  }
  return {};
}

void GgufMetadata::add_texts(std::string key, const std::vector<std::string>& values) {
  GgufArray array{GgufType::kString, {}, {}};
  for (const std::string& value : values) {
    const auto bytes = std::as_bytes(std::span(value));
    array.bytes.insert(array.bytes.end(), bytes.begin(), bytes.end());
    array.ends.push_back(static_cast<uint32_t>(array.bytes.size()));
  }
  add(std::move(key), {GgufType::kArray, std::move(array)});
}

void GgufMetadata::add_i32s(std::string key, const std::vector<int32_t>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  add(std::move(key), {GgufType::kArray, GgufArray{GgufType::kI32, {bytes.begin(), bytes.end()}, {}}});
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, [](const auto& entry) { return std::string_view(entry.first); });
  return found == entries_.end() ? nullptr : &found->second;
}

Result<std::optional<uint64_t>> GgufMetadata::find_uint(std::string_view key) const {
  return find_as<uint64_t>(*this, key, "an unsigned integer");
}

Result<std::optional<double>> GgufMetadata::find_float(std::string_view key) const {
  return find_as<double>(*this, key, "f32 or f64");
}

Result<std::optional<bool>> GgufMetadata::find_bool(std::string_view key) const {
  return find_as<bool>(*this, key, "bool");
}

Result<std::optional<std::string_view>> GgufMetadata::find_string(std::string_view key) const {
  const GgufValue* const found = find(key);
  if (found == nullptr) return std::nullopt;
  const auto* const text = std::get_if<std::string>(&found->value);
  if (text == nullptr) return wrong_type(key, "string", *found);
  return std::string_view(*text);
}

Result<const GgufArray*> GgufMetadata::find_array(std::string_view key, GgufType element) const {
  const GgufValue* const found = find(key);
  if (found == nullptr) return nullptr;
  const auto* const array = std::get_if<GgufArray>(&found->value);
  if (array == nullptr || array->type != element) {
    return wrong_type(key, concat("an array of ", gguf_type_name(element)), *found);
  }
  return array;
}

Result<uint64_t> GgufMetadata::required_uint(std::string_view key) const { return present(find_uint(key), key); }

Result<double> GgufMetadata::required_float(std::string_view key) const { return present(find_float(key), key); }

Result<std::string_view> GgufMetadata::required_string(std::string_view key) const {
  return present(find_string(key), key);
}

}  // namespace sutra
