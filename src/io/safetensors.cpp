#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/checked.h"
#include "base/json.h"

namespace sutra {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

Result<Dtype> parse_dtype(std::string_view tensor, const std::string& text) {
  if (const auto dtype = dtype_from_name(text)) return *dtype;
  constexpr std::array<std::string_view, 8> kOfTheFormat = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3",
                                                            "F6_E3M2", "F4",      "C64",     "F8_E4M3FNUZ"};
  const bool known = std::ranges::find(kOfTheFormat, text) != kOfTheFormat.end();
  return fail(known ? ErrorCode::kUnsupported : ErrorCode::kMalformed, "tensor '", printable(tensor),
              "': expected a dtype such as F32, F16, BF16, I32 or U8, found '", printable(text), "'");
}

// Control characters of ASCII and of Latin-1 (U+0080..U+009F), in text known to be UTF-8.
bool has_control_character(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

// Turns the events of the JSON into entries; every rule about one record is checked as the record ends.
class HeaderHandler final : public JsonHandler {
 public:
  explicit HeaderHandler(SafetensorsHeader& header) : header_(header) {}

  Status key(std::string name) override {
    if (place_ == Place::kTop) {
      SUTRA_TRY(count_text(name));
      name_ = std::move(name);
      return {};
    }
    if (place_ == Place::kMetadata) {
      SUTRA_TRY(count_text(name));
      if (header_.metadata.size() == kMaxMetadataEntries) {
        return fail(ErrorCode::kTooLarge, "'__metadata__' has more than ", kMaxMetadataEntries, " entries");
      }
      header_.metadata.emplace_back(std::move(name), std::string());
      return {};
    }
    return choose_field(name);
  }

  Status start_object() override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
      return {};
    }
    if (place_ != Place::kTop) return unexpected_value("an object");
    if (name_ == kMetadataKey) {
      if (has_metadata_) return fail(ErrorCode::kMalformed, "'__metadata__' is there twice");
      has_metadata_ = true;
      place_ = Place::kMetadata;
      return {};
    }
    place_ = Place::kRecord;
    field_ = Field::kNone;
    dtype_.reset();
    shape_.reset();
    offsets_.reset();
    return {};
  }

  Status end_object() override {
    if (place_ == Place::kTop) {
      place_ = Place::kEnd;
      return {};
    }
    const bool is_record = place_ == Place::kRecord;
    place_ = Place::kTop;
    return is_record ? finish_record() : Status();
  }

  Status start_array() override {
    if (place_ != Place::kRecord || (field_ != Field::kShape && field_ != Field::kOffsets)) {
      return unexpected_value("an array");
    }
    place_ = Place::kNumbers;
    n_numbers_ = 0;
    return {};
  }

  Status end_array() override {
    place_ = Place::kRecord;
    const std::span<const uint64_t> numbers(numbers_.data(), n_numbers_);
    if (field_ == Field::kShape) {
      auto shape = Shape::from_dims(numbers, ZeroDims::kAllow);
      if (!shape) return fail(shape.error().code, "tensor '", printable(name_), "': ", shape.error().message);
      shape_ = *shape;
      return {};
    }
    if (n_numbers_ != 2) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(name_),
                  "': expected data_offsets to have 2 values, found ", n_numbers_);
    }
    offsets_ = {numbers[0], numbers[1]};
    return {};
  }

  Status scalar(JsonScalar value) override {
    if (place_ == Place::kMetadata) {
      auto* const text = std::get_if<std::string>(&value);
      if (text == nullptr) return unexpected_value(json_kind(value));
      SUTRA_TRY(count_text(*text));
      header_.metadata.back().second = std::move(*text);
      return {};
    }
    if (place_ == Place::kNumbers) {
      const auto* const number = std::get_if<uint64_t>(&value);
      if (number == nullptr) return unexpected_value(json_kind(value));
      if (n_numbers_ == numbers_.size()) {
        return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "' has more than ", numbers_.size(),
                    field_ == Field::kShape ? " dimensions" : " data_offsets");
      }
      numbers_[n_numbers_++] = *number;
      return {};
    }
    if (place_ == Place::kRecord && field_ == Field::kDtype) {
      const auto* const text = std::get_if<std::string>(&value);
      if (text == nullptr) return unexpected_value(json_kind(value));
      SUTRA_ASSIGN(dtype_, parse_dtype(name_, *text));
      return {};
    }
    return unexpected_value(json_kind(value));
  }

 private:
  enum class Place : uint8_t { kStart, kTop, kMetadata, kRecord, kNumbers, kEnd };
  enum class Field : uint8_t { kNone, kDtype, kShape, kOffsets };

  Status choose_field(std::string_view name) {
    bool twice = false;
    if (name == "dtype") {
      field_ = Field::kDtype;
      twice = dtype_.has_value();
    } else if (name == "shape") {
      field_ = Field::kShape;
      twice = shape_.has_value();
    } else if (name == "data_offsets") {
      field_ = Field::kOffsets;
      twice = offsets_.has_value();
    } else {
      return fail(ErrorCode::kMalformed, "tensor '", printable(name_),
                  "': expected the fields dtype, shape and data_offsets, found '", printable(name), "'");
    }
    if (twice) return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "' has '", name, "' twice");
    return {};
  }

  Status unexpected_value(std::string_view found) const {
    switch (place_) {
      case Place::kStart:
      case Place::kEnd: return fail(ErrorCode::kMalformed, "expected the header to be a JSON object, found ", found);
      case Place::kTop:
        return fail(ErrorCode::kMalformed, "expected '", printable(name_), "' to be a JSON object, found ", found);
      case Place::kMetadata:
        return fail(ErrorCode::kMalformed, "expected '__metadata__' to hold strings, found ", found);
      case Place::kRecord:
      case Place::kNumbers: break;
    }
    const std::string_view expected = field_ == Field::kDtype   ? "dtype to be a string"
                                      : field_ == Field::kShape ? "shape to be an array of integers from 0 to 2^64 - 1"
                                                                : "data_offsets to be two integers from 0 to 2^64 - 1";
    return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "': expected ", expected, ", found ", found);
  }

  Status count_text(std::string_view text) {
    text_bytes_ += text.size();
    if (text_bytes_ > kMaxSafetensorsTextBytes) {
      return fail(ErrorCode::kTooLarge, "the names and metadata take more than ", kMaxSafetensorsTextBytes, " bytes");
    }
    return {};
  }

  Status finish_record() {
    if (!dtype_ || !shape_ || !offsets_) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "' has no '",
                  !dtype_   ? "dtype"
                  : !shape_ ? "shape"
                            : "data_offsets",
                  "'");
    }
    if (has_control_character(name_)) {
      return fail(ErrorCode::kMalformed, "the tensor name '", printable(name_), "' has a control character");
    }
    const auto [begin, end] = *offsets_;
    if (begin > end) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "' begins at byte ", begin, " and ends at ",
                  end);
    }
    SUTRA_ASSIGN(const uint64_t bytes, tensor_bytes(*dtype_, *shape_));
    if (bytes != end - begin) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(name_), "', ", dtype_name(*dtype_), " ",
                  shape_->to_string(), ": expected ", bytes, " bytes, found ", end - begin);
    }
    if (header_.tensors.size() == kMaxTensorsPerFile) {
      return fail(ErrorCode::kTooLarge, "the header lists more than ", kMaxTensorsPerFile, " tensors");
    }
    header_.tensors.push_back({std::move(name_), *dtype_, *shape_, begin, end});
    return {};
  }

  SafetensorsHeader& header_;
  Place place_ = Place::kStart;
  bool has_metadata_ = false;
  size_t text_bytes_ = 0;

  // The record being read.
  std::string name_;
  Field field_ = Field::kNone;
  std::optional<Dtype> dtype_;
  std::optional<Shape> shape_;
  std::optional<std::pair<uint64_t, uint64_t>> offsets_;
  std::array<uint64_t, Shape::kMaxDims> numbers_{};
  size_t n_numbers_ = 0;
};

// A key that a list holds more than once, in O(n log n).
template <class List, class Key>
std::optional<std::string_view> find_duplicate(const List& list, Key key) {
  std::vector<std::string_view> keys(list.size());
  std::ranges::transform(list, keys.begin(), key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice == keys.end()) return std::nullopt;
  return *twice;
}

Status check_coverage(const std::vector<TensorEntry>& tensors, uint64_t data_bytes) {
  uint64_t covered = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.end > data_bytes) {
      return fail(ErrorCode::kTruncated, "tensor '", printable(entry.name), "' ends at byte ", entry.end,
                  " of the data, which has ", data_bytes, " bytes");
    }
    if (entry.begin != covered) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(entry.name), "' begins at byte ", entry.begin,
                  " of the data; expected ", covered,
                  entry.begin < covered ? " (tensors overlap)" : " (bytes belong to no tensor)");
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return fail(ErrorCode::kMalformed, "the tensors end at byte ", covered, " of the data, which has ", data_bytes,
                " bytes");
  }
  return {};
}

}  // namespace

Result<uint64_t> safetensors_header_bytes(std::span<const std::byte> first_bytes, uint64_t file_size) {
  if (file_size < kSafetensorsLengthBytes || first_bytes.size() < kSafetensorsLengthBytes) {
    return fail(ErrorCode::kTruncated, "a safetensors file begins with 8 bytes of length, found ",
                std::min<uint64_t>(file_size, first_bytes.size()), " bytes");
  }
  uint64_t length = 0;
  for (size_t i = kSafetensorsLengthBytes; i-- > 0;) length = length << 8 | std::to_integer<uint64_t>(first_bytes[i]);
  if (length == 0) return fail(ErrorCode::kMalformed, "the header length is 0; expected a JSON object");
  if (length > kMaxSafetensorsHeaderBytes) {
    return fail(ErrorCode::kTooLarge, "the header length is ", length, " bytes; at most ", kMaxSafetensorsHeaderBytes,
                " are allowed");
  }
  if (length > file_size - kSafetensorsLengthBytes) {
    return fail(ErrorCode::kTruncated, "the header length is ", length, " bytes; the file has ",
                file_size - kSafetensorsLengthBytes, " after the length");
  }
  return length;
}

Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> header_json, uint64_t file_size) {
  const auto data_offset = checked_add(kSafetensorsLengthBytes, header_json.size());
  if (!data_offset || *data_offset > file_size) {
    return fail(ErrorCode::kTruncated, "the header takes ", header_json.size(), " bytes; the file has ", file_size);
  }
  const std::string_view text(reinterpret_cast<const char*>(header_json.data()), header_json.size());
  if (!text.starts_with('{')) return fail(ErrorCode::kMalformed, "the header does not begin with '{'");

  SafetensorsHeader header;
  header.data_offset = *data_offset;
  HeaderHandler handler(header);
  // Top, record, array: a legal header is three levels deep.
  SUTRA_TRY(read_json(text, handler, {.max_depth = 8, .max_token_bytes = kMaxSafetensorsTokenBytes}));

  if (const auto name =
          find_duplicate(header.tensors, [](const TensorEntry& e) -> std::string_view { return e.name; })) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(*name), "' is there twice");
  }
  if (const auto key = find_duplicate(header.metadata, [](const auto& e) -> std::string_view { return e.first; })) {
    return fail(ErrorCode::kMalformed, "metadata key '", printable(*key), "' is there twice");
  }
  sort_by_place(header.tensors);
  SUTRA_TRY(check_coverage(header.tensors, file_size - *data_offset));
  for (TensorEntry& entry : header.tensors) entry.file_offset = header.data_offset + entry.begin;
  return header;
}

void sort_by_place(std::vector<TensorEntry>& tensors) {
  std::ranges::sort(tensors, {}, [](const TensorEntry& e) { return std::tie(e.begin, e.end, e.name); });
}

}  // namespace sutra
