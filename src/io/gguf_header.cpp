#include "io/gguf_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.h"

namespace sutra {
namespace {

constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr uint64_t kLeastStringBytes = 8;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kMinAlignment = 8;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;

struct TensorType {
  uint32_t number;
  std::string_view name;
  std::optional<Dtype> dtype;  // none: a type of the format that nothing here reads
};
constexpr TensorType kTensorTypes[] = {
    {0, "F32", Dtype::kF32},    {1, "F16", Dtype::kF16},   {2, "Q4_0", Dtype::kQ4_0},  {3, "Q4_1", Dtype::kQ4_1},
    {6, "Q5_0", Dtype::kQ5_0},  {7, "Q5_1", Dtype::kQ5_1}, {8, "Q8_0", Dtype::kQ8_0},  {9, "Q8_1", {}},
    {10, "Q2_K", {}},           {11, "Q3_K", {}},          {12, "Q4_K", Dtype::kQ4_K}, {13, "Q5_K", Dtype::kQ5_K},
    {14, "Q6_K", Dtype::kQ6_K}, {15, "Q8_K", {}},          {16, "IQ2_XXS", {}},        {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},        {19, "IQ1_S", {}},         {20, "IQ4_NL", {}},         {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},          {23, "IQ4_XS", {}},        {24, "I8", Dtype::kI8},     {25, "I16", Dtype::kI16},
    {26, "I32", Dtype::kI32},   {27, "I64", Dtype::kI64},  {28, "F64", Dtype::kF64},   {29, "IQ1_M", {}},
    {30, "BF16", Dtype::kBF16}, {34, "TQ1_0", {}},         {35, "TQ2_0", {}},          {39, "MXFP4", {}},
};

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The first text that is there twice.
template <class Items, class Text>
std::optional<std::string_view> find_twice(const Items& items, const Text& text) {
  std::vector<std::string_view> texts;
  texts.reserve(items.size());
  for (const auto& item : items) texts.push_back(text(item));
  std::ranges::sort(texts);
  const auto twice = std::ranges::adjacent_find(texts);
  if (twice == texts.end()) return std::nullopt;
  return *twice;
}

Result<GgufType> type_of(std::string_view key, uint32_t number) {
  if (number <= static_cast<uint32_t>(GgufType::kF64)) return static_cast<GgufType>(number);
  return fail(ErrorCode::kMalformed, "metadata '", printable(key), "' has the unknown type ", number);
}

}  // namespace

std::optional<uint32_t> gguf_tensor_type(Dtype dtype) {
  const auto type = std::ranges::find(kTensorTypes, dtype, &TensorType::dtype);
  if (type == std::end(kTensorTypes)) return std::nullopt;
  return type->number;
}

// Reads from the bytes that are here, of a file of which `file_left` bytes follow. What is not here yet reads as zero
// and ok() is false; what the file cannot hold is an error.
class GgufHeaderParser::Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, uint64_t file_left) : bytes_(bytes), file_left_(file_left) {}

  template <class T>
  T number() {
    T value{};
    const auto source = take(sizeof(T));
    if (!source.empty()) std::memcpy(&value, source.data(), sizeof(T));
    return value;
  }

  std::string_view string(uint64_t max_bytes, std::string_view what) {
    const auto length = number<uint64_t>();
    if (!ok()) return {};
    if (length > file_left()) {
      refuse(fail(ErrorCode::kTruncated, "a ", what, " of ", length, " bytes begins where the file has ", file_left(),
                  " bytes left"));
    } else if (length > max_bytes) {
      refuse(fail(ErrorCode::kTooLarge, "a ", what, " has ", length, " bytes; at most ", max_bytes, " are allowed"));
    }
    const auto source = ok() ? take(length) : std::span<const std::byte>();
    return {reinterpret_cast<const char*>(source.data()), source.size()};
  }

  // Up to `n` bytes, as many as are here in whole units, but at least one unit.
  std::span<const std::byte> units(uint64_t n, size_t unit) {
    const uint64_t here = std::min<uint64_t>(n, bytes_.size() - at_);
    return take(std::max<uint64_t>(here - here % unit, unit));
  }

  // Everything so far was there, and nothing was wrong.
  [[nodiscard]] bool ok() const { return n_needed_ == 0 && !error_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] uint64_t file_left() const { return file_left_ - at_; }
  [[nodiscard]] size_t at() const { return at_; }
  [[nodiscard]] uint64_t n_needed() const { return n_needed_; }
  void refuse(std::unexpected<Error> error) { error_ = std::move(error).error(); }

 private:
  std::span<const std::byte> take(uint64_t n) {
    if (!ok()) return {};
    if (n > file_left()) {
      refuse(fail(ErrorCode::kTruncated, "the header reaches beyond the end of the file"));
      return {};
    }
    if (n > bytes_.size() - at_) {
      n_needed_ = at_ + n;
      return {};
    }
    const auto taken = bytes_.subspan(at_, static_cast<size_t>(n));
    at_ += taken.size();
    return taken;
  }

  std::span<const std::byte> bytes_;
  uint64_t file_left_;
  size_t at_ = 0;
  uint64_t n_needed_ = 0;
  std::optional<Error> error_;
};

Result<size_t> GgufHeaderParser::take(std::span<const std::byte> bytes) {
  size_t n_taken = 0;
  while (step_ != Step::kDone) {
    Cursor cursor(bytes.subspan(n_taken), file_size_ - at_);
    // An item changes the parser only when it is whole.
    SUTRA_TRY(read_item(cursor));
    if (cursor.error()) return std::unexpected(*cursor.error());
    if (!cursor.ok()) {
      n_needed_ = cursor.n_needed();
      break;
    }
    n_taken += cursor.at();
    at_ += cursor.at();
    if (at_ > kMaxGgufHeaderBytes) {
      return fail(ErrorCode::kTooLarge, "the GGUF header has more than ", kMaxGgufHeaderBytes, " bytes");
    }
    if (step_ == Step::kKeys && n_keys_left_ == 0) SUTRA_TRY(end_keys());
    if (step_ == Step::kTensors && n_tensors_left_ == 0) SUTRA_TRY(end_tensors());
  }
  return n_taken;
}

Status GgufHeaderParser::read_item(Cursor& cursor) {
  switch (step_) {
    case Step::kStart: return read_start(cursor);
    case Step::kKeys: return read_key(cursor);
    case Step::kArray: return read_elements(cursor);
    case Step::kTensors: return read_tensor(cursor);
    case Step::kDone: break;
  }
  return {};
}

Status GgufHeaderParser::read_start(Cursor& cursor) {
  const auto magic = cursor.number<std::array<char, 4>>();
  const auto version = cursor.number<uint32_t>();
  const auto n_tensors = cursor.number<uint64_t>();
  const auto n_keys = cursor.number<uint64_t>();
  if (!cursor.ok()) return {};
  if (std::string_view(magic.data(), magic.size()) != "GGUF") {
    return fail(ErrorCode::kMalformed, "expected the magic 'GGUF', found '",
                printable(std::string_view(magic.data(), magic.size())), "'");
  }
  if (version != 2 && version != 3) {
    const bool is_swapped = version == 2u << 24 || version == 3u << 24;
    return fail(ErrorCode::kUnsupported, "expected GGUF version 2 or 3, found ", version,
                is_swapped ? ": the file is big-endian" : "");
  }
  const auto key_bytes = checked_mul(n_keys, kLeastKeyBytes);
  const auto tensor_bytes = checked_mul(n_tensors, kLeastTensorBytes);
  const auto least = key_bytes && tensor_bytes ? checked_add(*key_bytes, *tensor_bytes) : std::nullopt;
  if (!least || *least > cursor.file_left()) {
    return fail(ErrorCode::kTruncated, "the file announces ", n_keys, " keys and ", n_tensors, " tensors, but has ",
                cursor.file_left(), " bytes left");
  }
  if (n_keys > kMaxMetadataEntries || n_tensors > kMaxTensorsPerFile) {
    return fail(ErrorCode::kTooLarge, "the file has ", n_keys, " keys and ", n_tensors, " tensors; at most ",
                kMaxMetadataEntries, " and ", kMaxTensorsPerFile, " are allowed");
  }
  n_keys_left_ = static_cast<size_t>(n_keys);
  n_tensors_left_ = static_cast<size_t>(n_tensors);
  header_.metadata.reserve(n_keys_left_);
  header_.tensors.reserve(n_tensors_left_);
  step_ = Step::kKeys;
  return {};
}

Status GgufHeaderParser::read_key(Cursor& cursor) {
  const std::string_view key = cursor.string(kMaxKeyBytes, "metadata key");
  const auto number = cursor.number<uint32_t>();
  if (!cursor.ok()) return {};
  if (key.empty()) return fail(ErrorCode::kMalformed, "a metadata key is empty");
  if (has_control_character(key)) {
    return fail(ErrorCode::kMalformed, "the metadata key '", printable(key), "' has a control character");
  }
  SUTRA_ASSIGN(const GgufType type, type_of(key, number));
  if (type == GgufType::kArray) {
    const auto element_number = cursor.number<uint32_t>();
    const auto count = cursor.number<uint64_t>();
    if (!cursor.ok()) return {};
    SUTRA_ASSIGN(const GgufType element, type_of(key, element_number));
    return start_array(std::string(key), element, count, cursor.file_left());
  }
  GgufValue value{type, {}};
  switch (type) {
    case GgufType::kU8: value.value = uint64_t{cursor.number<uint8_t>()}; break;
    case GgufType::kI8: value.value = int64_t{cursor.number<int8_t>()}; break;
    case GgufType::kU16: value.value = uint64_t{cursor.number<uint16_t>()}; break;
    case GgufType::kI16: value.value = int64_t{cursor.number<int16_t>()}; break;
    case GgufType::kU32: value.value = uint64_t{cursor.number<uint32_t>()}; break;
    case GgufType::kI32: value.value = int64_t{cursor.number<int32_t>()}; break;
    case GgufType::kF32: value.value = double{cursor.number<float>()}; break;
    case GgufType::kU64: value.value = cursor.number<uint64_t>(); break;
    case GgufType::kI64: value.value = cursor.number<int64_t>(); break;
    case GgufType::kF64: value.value = cursor.number<double>(); break;
    case GgufType::kString: value.value = std::string(cursor.string(kMaxGgufStringBytes, "string")); break;
    case GgufType::kBool: {
      const auto byte = cursor.number<uint8_t>();
      if (byte > 1) return fail(ErrorCode::kMalformed, "metadata '", printable(key), "': ", byte, " is no bool");
      value.value = byte == 1;
      break;
    }
    case GgufType::kArray: break;
  }
  if (!cursor.ok()) return {};
  header_.metadata.add(std::string(key), std::move(value));
  --n_keys_left_;
  return {};
}

Status GgufHeaderParser::start_array(std::string key, GgufType element, uint64_t count, uint64_t bytes_left) {
  if (element == GgufType::kArray) {
    return fail(ErrorCode::kUnsupported, "metadata '", printable(key), "' is an array of arrays");
  }
  const bool is_strings = element == GgufType::kString;
  const auto least = checked_mul(count, is_strings ? kLeastStringBytes : gguf_type_bytes(element));
  if (!least || *least > bytes_left) {
    return fail(ErrorCode::kTruncated, "metadata '", printable(key), "' announces ", count, " elements of ",
                gguf_type_name(element), ", but the file has ", bytes_left, " bytes left");
  }
  if (*least > kMaxGgufHeaderBytes) {
    return fail(ErrorCode::kTooLarge, "metadata '", printable(key), "' has ", count, " elements: more than the ",
                kMaxGgufHeaderBytes, " bytes that a header may have");
  }
  array_key_ = std::move(key);
  array_ = {element, {}, {}};
  if (is_strings) {
    array_.ends.reserve(static_cast<size_t>(count));
  } else {
    array_.bytes.reserve(static_cast<size_t>(*least));
  }
  n_elements_left_ = count;
  step_ = Step::kArray;
  return {};
}

// One string, or as many other elements as there are. After the last one the array is a value.
Status GgufHeaderParser::read_elements(Cursor& cursor) {
  if (n_elements_left_ > 0 && array_.type == GgufType::kString) {
    const std::string_view text = cursor.string(kMaxGgufStringBytes, "string");
    if (!cursor.ok()) return {};
    const auto bytes = std::as_bytes(std::span(text));
    array_.bytes.insert(array_.bytes.end(), bytes.begin(), bytes.end());
    array_.ends.push_back(static_cast<uint32_t>(array_.bytes.size()));
    --n_elements_left_;
  } else if (n_elements_left_ > 0) {
    const size_t element_bytes = gguf_type_bytes(array_.type);
    const auto bytes = cursor.units(n_elements_left_ * element_bytes, element_bytes);
    if (!cursor.ok()) return {};
    if (array_.type == GgufType::kBool &&
        std::ranges::any_of(bytes, [](std::byte byte) { return byte > std::byte{1}; })) {
      return fail(ErrorCode::kMalformed, "metadata '", printable(array_key_), "' has a bool that is neither 0 nor 1");
    }
    array_.bytes.insert(array_.bytes.end(), bytes.begin(), bytes.end());
    n_elements_left_ -= bytes.size() / element_bytes;
  }
  if (n_elements_left_ > 0) return {};
  header_.metadata.add(std::move(array_key_), {GgufType::kArray, std::exchange(array_, {})});
  --n_keys_left_;
  step_ = Step::kKeys;
  return {};
}

Status GgufHeaderParser::end_keys() {
  const auto twice = find_twice(header_.metadata.entries(), [](const auto& e) { return std::string_view(e.first); });
  if (twice) return fail(ErrorCode::kMalformed, "metadata '", printable(*twice), "' is there twice");
  SUTRA_ASSIGN(const std::optional<uint64_t> alignment, header_.metadata.find_uint("general.alignment"));
  alignment_ = alignment.value_or(uint64_t{kGgufAlignment});
  if (!std::has_single_bit(alignment_) || alignment_ < kMinAlignment || alignment_ > kMaxAlignment) {
    return fail(ErrorCode::kMalformed, "general.alignment: expected a power of two from ", kMinAlignment, " to ",
                kMaxAlignment, ", found ", alignment_);
  }
  step_ = Step::kTensors;
  return {};
}

Status GgufHeaderParser::read_tensor(Cursor& cursor) {
  const std::string_view name = cursor.string(kMaxGgufNameBytes, "tensor name");
  const auto n_dims = cursor.number<uint32_t>();
  if (!cursor.ok()) return {};
  if (name.empty() || has_control_character(name)) {
    return fail(ErrorCode::kMalformed, "a tensor has the name '", printable(name), "'");
  }
  if (n_dims < 1 || n_dims > kMaxDims) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(name), "': expected 1 to ", kMaxDims,
                " dimensions, found ", n_dims);
  }
  std::array<uint64_t, kMaxDims> dims{};
  for (size_t i = n_dims; i-- > 0;) dims[i] = cursor.number<uint64_t>();  // innermost first in the file
  const auto number = cursor.number<uint32_t>();
  const auto offset = cursor.number<uint64_t>();
  if (!cursor.ok()) return {};

  const auto type = std::ranges::find(kTensorTypes, number, &TensorType::number);
  if (type == std::end(kTensorTypes)) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(name), "' has the unknown type ", number);
  }
  if (!type->dtype) {
    return fail(ErrorCode::kUnsupported, "tensor '", printable(name), "' has the type ", type->name,
                ", which is not supported");
  }
  TensorEntry entry{std::string(name), *type->dtype, {}, offset, 0};
  const auto shape = Shape::from_dims(std::span(dims).first(n_dims));
  if (!shape) return fail(shape.error().code, "tensor '", printable(name), "': ", shape.error().message);
  entry.shape = *shape;
  const auto n_bytes = tensor_bytes(entry.dtype, entry.shape);
  if (!n_bytes) return fail(n_bytes.error().code, "tensor '", printable(name), "': ", n_bytes.error().message);
  if (offset % alignment_ != 0) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(name), "': the offset ", offset,
                " is not a multiple of the alignment ", alignment_);
  }
  const auto end = checked_add(offset, *n_bytes);
  if (!end) return fail(ErrorCode::kTooLarge, "tensor '", printable(name), "': its end exceeds 64 bits");
  entry.end = *end;
  header_.tensors.push_back(std::move(entry));
  --n_tensors_left_;
  return {};
}

Status GgufHeaderParser::end_tensors() {
  std::vector<TensorEntry>& tensors = header_.tensors;
  const auto twice = find_twice(tensors, [](const TensorEntry& entry) { return std::string_view(entry.name); });
  if (twice) return fail(ErrorCode::kMalformed, "tensor '", printable(*twice), "' is there twice");
  // Cannot wrap: both are small.
  header_.data_offset = (at_ + alignment_ - 1) / alignment_ * alignment_;
  const uint64_t data_bytes = file_size_ - std::min(file_size_, header_.data_offset);
  sort_by_place(tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    TensorEntry& entry = tensors[i];
    if (entry.end > data_bytes) {
      return fail(ErrorCode::kTruncated, "tensor '", printable(entry.name), "' has bytes ", entry.begin, " to ",
                  entry.end, " of ", data_bytes, " that the file holds");
    }
    if (i > 0 && entry.begin < tensors[i - 1].end) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(entry.name), "' overlaps tensor '",
                  printable(tensors[i - 1].name), "'");
    }
    entry.file_offset = header_.data_offset + entry.begin;
  }
  // Writers pad the last tensor like the others, or not at all.
  const uint64_t end = tensors.empty() ? data_bytes : tensors.back().end;
  if (data_bytes > end && data_bytes - end < (alignment_ - end % alignment_) % alignment_) {
    return fail(ErrorCode::kTruncated, "the file ends within the padding of its last tensor");
  }
  step_ = Step::kDone;
  return {};
}

}  // namespace sutra
