#include "quant/left_matrices.h"

#include "base/assert.h"

namespace sutra {

LeftMatrices::LeftMatrices(uint64_t from_bytes) : from_bytes_(from_bytes) {
  SUTRA_ASSERT(from_bytes > kMatrixHeadBytes);
}

void LeftMatrices::begin_file(TensorSink& next, const WeightSink& sink, WeightMap& out) {
  ++n_files_;
  next_ = &next;
  sink_ = &sink;
  out_ = &out;
}

uint64_t LeftMatrices::bytes_wanted(const TensorEntry& entry) const {
  const uint64_t n_bytes = entry.end - entry.begin;
  // Low-rank pairs are transposed or joined in some dialects (model/blinkdl.h, model/fla_rwkv6.h).
  const bool may_change = !entry.name.ends_with(".weight") || entry.name.find("lora") != std::string::npos ||
                          entry.name.find(".x_proj.") != std::string::npos || sink_->keeps(entry.name);
  const bool is_left = n_bytes >= from_bytes_ && entry.file_offset > 0 && !may_change && entry.shape.n_dims() == 2 &&
                       kAnyFloat.contains(entry.dtype);
  return is_left ? kMatrixHeadBytes : n_bytes;
}

Status LeftMatrices::begin(const TensorEntry& entry) {
  is_left_ = bytes_wanted(entry) < entry.end - entry.begin;
  if (!is_left_) return next_->begin(entry);
  places_.push_back({n_files_ - 1, entry.file_offset, entry.end - entry.begin, entry.crc32, {}});
  return {};
}

Status LeftMatrices::write(std::span<const std::byte> bytes) {
  if (!is_left_) return next_->write(bytes);
  std::vector<std::byte>& head = places_.back().head;
  head.insert(head.end(), bytes.begin(), bytes.end());
  return {};
}

Status LeftMatrices::end(const TensorEntry& entry) {
  if (!is_left_) return next_->end(entry);
  SUTRA_ASSIGN(Tensor left, Tensor::elsewhere(entry.dtype, entry.shape, places_.size() - 1));
  return out_->insert(entry.name, std::move(left));
}

}  // namespace sutra
