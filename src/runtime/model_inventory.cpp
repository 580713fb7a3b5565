#include "runtime/model_inventory.h"

#include <algorithm>

#include "io/hash.h"

namespace sutra {
namespace {

// Of a matrix in 4 bits: the tensor of its numbers, eight a word, and those that say what they mean.
bool is_words(std::string_view name) { return name.ends_with(".qweight") || name.ends_with(".weight_packed"); }
bool is_beside_words(std::string_view name) {
  constexpr std::string_view kEndings[] = {".qzeros", ".scales", ".weight_scale", ".weight_zero_point",
                                           ".weight_shape"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

// Bytes of each tensor that enter the model hash: enough to tell models apart, cheap for large ones.
constexpr size_t kHashedTensorBytes = 4096;

}  // namespace

Status ModelInventory::begin(const TensorEntry& entry) {
  SUTRA_TRY(next_.begin(entry));
  current_ = &records_[entry.name];
  *current_ = {entry.dtype, entry.shape, entry.end - entry.begin, {}};
  return {};
}

Status ModelInventory::write(std::span<const std::byte> bytes) {
  std::vector<std::byte>& head = current_->head;
  const auto more = bytes.first(std::min(bytes.size(), kHashedTensorBytes - head.size()));
  head.insert(head.end(), more.begin(), more.end());
  return next_.write(bytes);
}

std::string ModelInventory::hash() const {
  Sha256 hash;
  for (const auto& [name, record] : records_) {
    const std::string header = concat(name, '\n', dtype_name(record.dtype), record.shape.to_string(), '\n');
    hash.update(std::as_bytes(std::span(header)));
    hash.update(record.head);
  }
  return to_hex(hash.finish());
}

std::string ModelInventory::quantization(const std::optional<PackedConfig>& packed) const {
  const Record* largest = nullptr;
  for (const auto& [name, record] : records_) {
    if (packed && is_words(name)) {
      return packed->group_size == 0 ? "4-bit, one group a row"
                                     : concat(packed->bits, "-bit, group ", packed->group_size);
    }
    if (largest == nullptr || record.n_bytes > largest->n_bytes) largest = &record;
  }
  if (largest == nullptr) return "none";
  if (is_block(largest->dtype)) return std::string(dtype_name(largest->dtype));
  switch (largest->dtype) {
    case Dtype::kF16: return "float16";
    case Dtype::kBF16: return "bfloat16";
    case Dtype::kF64: return "float64";
    default: return "float32";
  }
}

uint64_t ModelInventory::n_parameters(const std::optional<PackedConfig>& packed) const {
  const uint64_t per_word = packed && packed->bits == 8 ? 4 : 8;
  uint64_t n = 0;
  for (const auto& [name, record] : records_) {
    if (is_beside_words(name)) continue;
    n += record.shape.n_elements() * (is_words(name) ? per_word : 1);
  }
  return n;
}

}  // namespace sutra
