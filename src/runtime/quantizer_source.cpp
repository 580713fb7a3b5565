// Matrices that were left in their files: what is wanted of them, and what becomes of what comes.
#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "io/zip.h"
#include "model/outer_names.h"
#include "quant/awq_search.h"
#include "runtime/quantizer_stage.h"
#include "tensor/finite.h"

namespace sutra {

Quantizer::Wanted Quantizer::wanted() const {
  constexpr uint64_t kWantedBytes = uint64_t{1} << 20;
  if (tasks_.empty() || !tasks_.front().rows) return {};
  const SourceRows& rows = *tasks_.front().rows;
  const MatrixPlace& place = model_.places[*source_of(*rows.plan)->place()];
  const uint64_t row_bytes = place.n_bytes / rows.plan->shape[0];
  const uint64_t left = rows.n * row_bytes - stage_->loaded_bytes;
  return {place.file, {place.offset + rows.first * row_bytes + stage_->loaded_bytes, std::min(left, kWantedBytes)}};
}

// Whole elements: what is wanted is a power of two of bytes, or the rest.
Status Quantizer::give(std::span<const std::byte> bytes) {
  Stage& stage = *stage_;
  const SourceRows& rows = *tasks_.front().rows;
  const Plan& plan = *rows.plan;
  const Tensor& source = *source_of(plan);
  const MatrixPlace& place = model_.places[*source.place()];
  if (bytes.size() != wanted().range.size) {
    return fail(ErrorCode::kTruncated, "tensor '", printable(plan.name),
                "': the file became shorter after it was read");
  }
  const auto n_in = static_cast<size_t>(plan.shape[1]);
  if (stage.loaded_bytes == 0) {
    SUTRA_ASSIGN(stage.rows, Tensor::create(Dtype::kF32, {rows.n, n_in}, Contents::kUndefined));
    if (rows.first == 0) stage.crc32 = 0;
  }
  const size_t element_bytes = dtype_bytes(source.dtype());
  const size_t first = static_cast<size_t>(stage.loaded_bytes) / element_bytes;
  SUTRA_ASSIGN(const Tensor wide, to_f32({source.dtype(), {bytes.size() / element_bytes}, bytes}));
  if (const auto element = first_non_finite(wide.view())) {
    return fail(ErrorCode::kNonFinite, "tensor '", printable(plan.name), "' is NaN or infinite at element ",
                rows.first * n_in + first + *element);
  }
  std::ranges::copy(wide.as<float>(), stage.rows.as<float>().subspan(first).begin());
  if (place.crc32) stage.crc32 = crc32(stage.crc32, bytes);
  stage.loaded_bytes += bytes.size();
  const bool is_whole = rows.first + rows.n == plan.shape[0] && wanted().range.size == 0;
  if (is_whole && place.crc32 && *place.crc32 != stage.crc32) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(plan.name), "' has a wrong checksum");
  }
  return {};
}

// Embeddings and heads that were left in their file: as large as several layers, they are here in parts, and as a whole only
// in the form in which they are written.
bool Quantizer::is_tall(const Plan& plan) const {
  const OuterNames outer = outer_names(model_.config);
  const std::string module = module_of(plan.name);
  const Tensor* const source = source_of(plan);
  return source != nullptr && source->place() && (module == outer.embeddings || module == outer.head);
}

void Quantizer::add_row_tasks(const Plan& plan, const std::function<Status(Quantizer&, size_t)>& run) {
  const auto n_rows = static_cast<size_t>(plan.shape[0]);
  const size_t n_at_once = rows_at_once(static_cast<size_t>(plan.shape[1]));
  for (size_t first = 0; first < n_rows; first += n_at_once) {
    tasks_.push_back({[run, first](Quantizer& q) { return run(q, first); },
                      SourceRows{&plan, first, std::min(n_at_once, n_rows - first)}});
  }
}

Status Quantizer::take_matrix(const Plan& plan) {
  stage_->weights.emplace(plan.name, std::move(stage_->rows));
  return {};
}

// Keeps rows of a tall matrix, `stage_->rows` from row `first` on: those that the calibration looks up, and those that the
// head's scales are searched on.
Status Quantizer::look_at_rows(const Plan& plan, size_t first) {
  Stage& stage = *stage_;
  const auto n_rows = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  if (stage_index_ == 0) return embed_rows(stage.rows, first);
  const std::vector<size_t> searched = spread_rows(n_rows, kSearchedRows);
  if (first == 0) {
    SUTRA_ASSIGN(Tensor kept, Tensor::create(Dtype::kF32, {searched.size(), n_in}, Contents::kUndefined));
    stage.weights.emplace(plan.name, std::move(kept));
  }
  const std::span<float> kept = stage.weights.find(plan.name)->second.as<float>();
  const std::span<const float> rows = std::as_const(stage.rows).as<float>();
  const auto begin = std::ranges::lower_bound(searched, first);
  for (auto row = begin; row != searched.end() && *row - first < stage.rows.shape()[0]; ++row) {
    const auto at = static_cast<size_t>(row - searched.begin());
    std::ranges::copy(rows.subspan((*row - first) * n_in, n_in), kept.subspan(at * n_in).begin());
  }
  return {};
}

// Of the rows of the embedding from `first` on those that the calibration looks up.
Status Quantizer::embed_rows(const Tensor& rows, size_t first) {
  Stage& stage = *stage_;
  const size_t n_embd = model_.config.n_embd();
  if (first == 0) {
    std::set<int32_t> ids;
    for (const std::vector<int32_t>& sequence : sequences_) ids.insert(sequence.begin(), sequence.end());
    stage.embedded_ids.assign(ids.begin(), ids.end());
    SUTRA_ASSIGN(stage.embedded, Tensor::create(Dtype::kF32, {ids.size(), n_embd}, Contents::kUndefined));
  }
  const std::span<const float> values = rows.as<float>();
  const auto begin = std::ranges::lower_bound(stage.embedded_ids, static_cast<int32_t>(first));
  for (auto id = begin; id != stage.embedded_ids.end(); ++id) {
    const size_t row = static_cast<size_t>(*id) - first, at = static_cast<size_t>(id - stage.embedded_ids.begin());
    if (row >= values.size() / n_embd) break;
    std::ranges::copy(values.subspan(row * n_embd, n_embd), stage.embedded.as<float>().subspan(at * n_embd).begin());
  }
  return {};
}

}  // namespace sutra
