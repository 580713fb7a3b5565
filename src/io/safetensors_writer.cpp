#include "io/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "base/checked.h"
#include "base/json.h"

namespace sutra {
namespace {

constexpr uint64_t kDataAlignment = 8;

std::string describe(Dtype dtype, const Shape& shape) { return concat(dtype_name(dtype), " ", shape.to_string()); }

Result<std::vector<TensorEntry>> lay_out(const std::vector<TensorSpec>& specs) {
  std::vector<TensorEntry> entries;
  std::set<std::string_view> names;
  uint64_t begin = 0;
  for (const TensorSpec& spec : specs) {
    if (spec.name.empty() || spec.name == "__metadata__" || !names.insert(spec.name).second) {
      return fail(ErrorCode::kInvalidArgument, "the tensor name '", printable(spec.name),
                  "' is empty, reserved or used twice");
    }
    if (begin % dtype_bytes(spec.dtype) != 0) {
      return fail(ErrorCode::kInvalidArgument, "tensor '", printable(spec.name), "', ",
                  describe(spec.dtype, spec.shape), ", would begin at byte ", begin, "; expected a multiple of ",
                  dtype_bytes(spec.dtype));
    }
    SUTRA_ASSIGN(const uint64_t bytes, tensor_bytes(spec.dtype, spec.shape));
    const auto end = checked_add(begin, bytes);
    if (!end) return fail(ErrorCode::kTooLarge, "the tensors exceed 64 bits of bytes");
    entries.push_back({spec.name, spec.dtype, spec.shape, begin, *end});
    begin = *end;
  }
  return entries;
}

std::string header_json(const std::vector<TensorEntry>& entries, const SafetensorsWriter::Metadata& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) json += concat(json_quote(key), ':', json_quote(value), ',');
    json.back() = '}';
    json += ',';
  }
  for (const TensorEntry& entry : entries) {
    json += concat(json_quote(entry.name), ":{\"dtype\":\"", dtype_name(entry.dtype), "\",\"shape\":[");
    for (size_t i = 0; i < entry.shape.n_dims(); ++i) json += concat(i > 0 ? "," : "", entry.shape[i]);
    json += concat("],\"data_offsets\":[", entry.begin, ',', entry.end, "]},");
  }
  if (json.size() == 1) return "{}";
  json.back() = '}';
  return json;
}

}  // namespace

void order_for_alignment(std::vector<TensorSpec>& specs) {
  std::ranges::stable_sort(specs, std::greater(), [](const TensorSpec& spec) {
    const size_t item_bytes = dtype_bytes(spec.dtype);
    // A product beyond 64 bits leaves the same remainder.
    return spec.shape.n_elements() * item_bytes % kDataAlignment == 0 ? kDataAlignment : item_bytes;
  });
}

Result<SafetensorsWriter> SafetensorsWriter::create(ByteSink& sink, const std::vector<TensorSpec>& specs,
                                                    const Metadata& metadata) {
  SUTRA_ASSIGN(auto entries, lay_out(specs));
  std::string json = header_json(entries, metadata);
  json.append((kDataAlignment - json.size() % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t data_bytes = entries.empty() ? 0 : entries.back().end;
  const auto file_bytes = checked_add(data_bytes, kSafetensorsLengthBytes + json.size());
  if (!file_bytes) return fail(ErrorCode::kTooLarge, "the tensors exceed 64 bits of bytes");
  // What we write we can read: the reader's rules on names, limits and duplicates are the writer's.
  const auto json_bytes = std::as_bytes(std::span(json));
  if (const auto header = parse_safetensors_header(json_bytes, *file_bytes); !header) {
    return fail(ErrorCode::kInvalidArgument, "the header would be refused: ", header.error().message);
  } else if (!std::ranges::equal(header->tensors, entries, {}, &TensorEntry::name, &TensorEntry::name)) {
    return fail(ErrorCode::kInvalidArgument, "a tensor name is not UTF-8");
  }

  SafetensorsWriter writer(sink, std::move(entries));
  writer.file_bytes_ = *file_bytes;
  std::array<std::byte, kSafetensorsLengthBytes> length;
  for (size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<std::byte>(uint64_t{json.size()} >> (8 * i) & 0xff);
  SUTRA_TRY(sink.write(length));
  SUTRA_TRY(sink.write(json_bytes));
  return writer;
}

Status SafetensorsWriter::write(std::string_view name, const TensorView& tensor) {
  if (next_entry_ == entries_.size()) {
    return fail(ErrorCode::kInvalidArgument, "tensor '", printable(name), "' was not announced");
  }
  const TensorEntry& entry = entries_[next_entry_];
  if (name != entry.name || tensor.dtype != entry.dtype || tensor.shape != entry.shape ||
      tensor.bytes.size() != entry.end - entry.begin) {
    return fail(ErrorCode::kInvalidArgument, "expected tensor '", printable(entry.name), "', ",
                describe(entry.dtype, entry.shape), ", found '", printable(name), "', ",
                describe(tensor.dtype, tensor.shape), " of ", tensor.bytes.size(), " bytes");
  }
  ++next_entry_;
  return sink_->write(tensor.bytes);
}

Status SafetensorsWriter::finish() {
  if (next_entry_ < entries_.size()) {
    return fail(ErrorCode::kInvalidArgument, "tensor '", printable(entries_[next_entry_].name),
                "' was announced and not written");
  }
  return {};
}

}  // namespace sutra
