// Keys and values of a GGUF file. A value is had by its key and its type; another type is an error, and so is another
// type of an array's elements: what a file's writer got wrong must not be read as something else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace sutra {

// With the numbers of the file.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12
};
std::string_view gguf_type_name(GgufType type);  // "u32", "string"
// Of a value or an array's element; 0 where it has no fixed size.
size_t gguf_type_bytes(GgufType type);

// Elements of one type, as the file has them.
struct GgufArray {
  GgufType type = GgufType::kU8;  // never kArray
  std::vector<std::byte> bytes;   // the elements; of strings the texts without their lengths
  std::vector<uint32_t> ends;     // of strings: where each one ends in `bytes`

  [[nodiscard]] size_t size() const {
    return type == GgufType::kString ? ends.size() : bytes.size() / gguf_type_bytes(type);
  }
  // Precondition: strings.
  [[nodiscard]] std::string_view text(size_t i) const;
  // An element for people to read.
  [[nodiscard]] std::string spell(size_t i) const;
  // Precondition: i32.
  [[nodiscard]] int32_t i32(size_t i) const;
};

struct GgufValue {
  GgufType type = GgufType::kU8;
  // Integers are widened, and so is f32.
  std::variant<uint64_t, int64_t, double, bool, std::string, GgufArray> value;
};

class GgufMetadata {
 public:
  // Absent: nothing. kMalformed names the key, the expected and the found type.
  [[nodiscard]] Result<std::optional<uint64_t>> find_uint(std::string_view key) const;  // unsigned, of any width
  [[nodiscard]] Result<std::optional<double>> find_float(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> find_bool(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string_view>> find_string(std::string_view key) const;
  // Null when absent.
  [[nodiscard]] Result<const GgufArray*> find_array(std::string_view key, GgufType element) const;

  // kNotFound when absent.
  [[nodiscard]] Result<uint64_t> required_uint(std::string_view key) const;
  [[nodiscard]] Result<double> required_float(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> required_string(std::string_view key) const;

  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  // In the order of the file, each key once.
  [[nodiscard]] const std::vector<std::pair<std::string, GgufValue>>& entries() const { return entries_; }
  void reserve(size_t n) { entries_.reserve(n); }
  void add(std::string key, GgufValue value) { entries_.emplace_back(std::move(key), std::move(value)); }
  // For writers, in the types that llama.cpp's own have.
  void add_text(std::string key, std::string value) { add(std::move(key), {GgufType::kString, std::move(value)}); }
  void add_u32(std::string key, uint32_t value) { add(std::move(key), {GgufType::kU32, uint64_t{value}}); }
  void add_f32(std::string key, float value) { add(std::move(key), {GgufType::kF32, static_cast<double>(value)}); }
  void add_bool(std::string key, bool value) { add(std::move(key), {GgufType::kBool, value}); }
  void add_texts(std::string key, const std::vector<std::string>& values);
  void add_i32s(std::string key, const std::vector<int32_t>& values);

 private:
  std::vector<std::pair<std::string, GgufValue>> entries_;
};

}  // namespace sutra
