#include "quant/weight_map.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"
#include "quant/awq_format.h"
#include "quant/ggml_blocks.h"

namespace sutra {
namespace {

constexpr std::string_view kQweight = ".qweight";
constexpr std::string_view kPacked = ".weight_packed";
constexpr std::string_view kQzeros = ".qzeros";
constexpr std::string_view kScales = ".scales";

// The matrix's name when `name` is this part of one.
std::optional<std::string_view> matrix_of(std::string_view name, std::string_view part) {
  if (!name.ends_with(part)) return std::nullopt;
  return name.substr(0, name.size() - part.size());
}

std::unexpected<Error> no_multiple_of_8(std::string_view name, size_t n_out) {
  return fail(ErrorCode::kShapeMismatch, "matrix '", printable(name), "' has ", n_out,
              " outputs; the AWQ layout needs a multiple of 8");
}

bool is_like(const Tensor* tensor, Dtype dtype, const Shape& shape) {
  return tensor != nullptr && tensor->dtype() == dtype && tensor->shape() == shape;
}

}  // namespace

std::unexpected<Error> wrong_shape(std::string_view name, std::string_view expected, const Shape& found) {
  return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "': expected ", expected, ", found shape ",
              found.to_string());
}

bool WeightMap::contains(std::string_view name) const {
  if (tensors_.contains(name) || blocks_.contains(name)) return true;
  if (const auto matrix = matrix_of(name, kQweight)) return packed_.contains(*matrix);
  for (const std::string_view part : {kQzeros, kScales}) {
    if (const auto matrix = matrix_of(name, part)) {
      const auto found = packed_.find(*matrix);
      return found != packed_.end() && found->second.has_groups;
    }
  }
  return false;
}

Result<Tensor> WeightMap::take(std::string_view name, DtypeSet dtypes, const Shape& shape) {
  if (blocks_.contains(name)) {
    return fail(ErrorCode::kDtypeMismatch, "tensor '", printable(name), "': expected shape ", shape.to_string(), " of ",
                dtypes.to_string(), ", found a matrix of blocks");
  }
  return tensors_.take(name, dtypes, shape);
}

Result<Tensor> WeightMap::take(std::string_view name) {
  SUTRA_ASSIGN(Tensor tensor, tensors_.take(name));
  if (!tensor.place()) return tensor;
  return fail(ErrorCode::kUnsupported, "tensor '", printable(name), "' was left in its file");
}

Result<WeightMatrix> WeightMap::take_matrix(std::string_view name, size_t n_out, size_t n_in, bool exact) {
  const auto to_weight = [](auto matrix) { return WeightMatrix(std::move(matrix)); };
  if (const auto found = blocks_.find(name); found != blocks_.end()) {
    SUTRA_ASSERT(!exact);  // the sink was told
    const Shape shape = std::visit([](const auto& m) { return Shape{m.n_rows(), m.n_cols()}; }, found->second);
    if (shape != Shape{n_out, n_in}) {
      return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "': expected shape ",
                  Shape{n_out, n_in}.to_string(), ", found ", shape.to_string());
    }
    return std::visit(to_weight, std::move(blocks_.extract(found).mapped()));
  }
  SUTRA_ASSIGN(Tensor weight, tensors_.take(name, kFloatsAndBlocks, {n_out, n_in}));
  const auto named = [&](Error error) { return fail(error.code, "tensor '", printable(name), "': ", error.message); };
  if (exact || (!has_quantized_ && !is_block(weight.dtype()))) {
    if (weight.dtype() != Dtype::kF64 && !is_block(weight.dtype())) return weight;
    auto wide = widen(weight.view());
    if (!wide) return named(wide.error());
    return std::move(*wide);
  }
  if (is_block(weight.dtype())) {
    auto packed = pack_blocks(weight.view());
    if (!packed) return named(packed.error());
    return std::visit(to_weight, std::move(*packed));
  }
  return Q8Matrix::quantize(weight.view());
}

Result<Q4Matrix> WeightMap::take_awq(std::string_view name, size_t n_out, size_t n_in, size_t group_size) {
  if (!awq_can_hold(n_out)) return no_multiple_of_8(name, n_out);
  const auto found = packed_.find(name);
  if (found != packed_.end()) {
    const Q4Matrix& matrix = found->second.matrix;
    group_size = matrix.group_size();
    if (matrix.n_rows() != n_out || matrix.n_cols() != n_in) {
      return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), kQweight, "': expected shape ",
                  awq_qweight_shape(n_out, n_in).to_string(), ", found ",
                  awq_qweight_shape(matrix.n_rows(), matrix.n_cols()).to_string());
    }
    if (found->second.has_groups) return std::move(packed_.extract(found).mapped().matrix);
    // They are not there, or do not fit what was packed: which of the two, this says.
    SUTRA_TRY(take(concat(name, kQzeros), {Dtype::kI32}, awq_qzeros_shape(n_out, n_in, group_size)));
    SUTRA_TRY(take(concat(name, kScales), {Dtype::kF16}, awq_scales_shape(n_out, n_in, group_size)));
    SUTRA_ASSERT(false);  // with two such parts it would have its groups
  }
  SUTRA_ASSIGN(const AwqTensors parts, take_awq_parts(name, n_out, n_in, group_size, 4));
  return repack_awq(parts, n_out, n_in, parts.group_size, name);
}

Result<AwqTensors> WeightMap::take_awq_parts(std::string_view name, size_t n_out, size_t n_in, size_t group_size,
                                             int bits) {
  if (!awq_can_hold(n_out)) return no_multiple_of_8(name, n_out);
  AwqTensors parts;
  parts.group_size = group_size;
  for (const size_t other : {size_t{32}, size_t{64}, size_t{128}}) {
    const bool fits = is_like(tensors_.find(concat(name, kScales)), Dtype::kF16, awq_scales_shape(n_out, n_in, other));
    if (fits && div_up(n_in, other) != div_up(n_in, group_size)) parts.group_size = other;
  }
  const Shape zeros = awq_qzeros_shape(n_out, n_in, parts.group_size, bits);
  SUTRA_ASSIGN(parts.qweight, take(concat(name, kQweight), {Dtype::kI32}, awq_qweight_shape(n_out, n_in, bits)));
  SUTRA_ASSIGN(parts.qzeros, take(concat(name, kQzeros), {Dtype::kI32}, zeros));
  SUTRA_ASSIGN(parts.scales,
               take(concat(name, kScales), {Dtype::kF16}, awq_scales_shape(n_out, n_in, parts.group_size)));
  return parts;
}

Status WeightMap::rename(std::string_view from, std::string_view to) {
  if (const auto found = blocks_.find(from); found != blocks_.end()) {
    if (contains(to)) return fail(ErrorCode::kMalformed, "tensor '", printable(to), "' is there twice");
    auto node = blocks_.extract(found);
    node.key() = to;
    blocks_.insert(std::move(node));
    return {};
  }
  for (const std::string_view part : {kQweight, kQzeros, kScales}) {
    const auto old_matrix = matrix_of(from, part), new_matrix = matrix_of(to, part);
    const auto found = old_matrix ? packed_.find(*old_matrix) : packed_.end();
    if (found == packed_.end() || tensors_.contains(from)) continue;
    if (!new_matrix || packed_.contains(*new_matrix)) {
      return fail(ErrorCode::kMalformed, "matrix '", printable(*old_matrix), "' cannot be called '", printable(to),
                  "'");
    }
    auto node = packed_.extract(found);
    node.key() = *new_matrix;
    packed_.insert(std::move(node));
    return {};
  }
  SUTRA_ASSIGN(Tensor tensor, tensors_.take(from));
  return tensors_.insert(std::string(to), std::move(tensor));
}

std::vector<std::string> WeightMap::names() const {
  std::vector<std::string> names = tensors_.names();
  for (const auto& [name, matrix] : blocks_) names.push_back(name);
  for (const auto& [name, packed] : packed_) {
    names.push_back(concat(name, kQweight));
    if (packed.has_groups) {
      names.push_back(concat(name, kQzeros));
      names.push_back(concat(name, kScales));
    }
  }
  std::ranges::sort(names);
  return names;
}

Status WeightMap::complete(std::string_view part) {
  std::optional<std::string_view> name;
  for (const std::string_view suffix : {kQweight, kQzeros, kScales}) {
    if (!name) name = matrix_of(part, suffix);
  }
  const auto found = name ? packed_.find(*name) : packed_.end();
  if (found == packed_.end()) return {};
  Q4Matrix& matrix = found->second.matrix;
  const std::string qzeros_name = concat(*name, kQzeros);
  const std::string scales_name = concat(*name, kScales);
  const Tensor* const qzeros = tensors_.find(qzeros_name);
  const Tensor* const scales = tensors_.find(scales_name);
  const size_t n_out = matrix.n_rows(), n_in = matrix.n_cols(), group_size = matrix.group_size();
  if (!is_like(qzeros, Dtype::kI32, awq_qzeros_shape(n_out, n_in, group_size)) ||
      !is_like(scales, Dtype::kF16, awq_scales_shape(n_out, n_in, group_size))) {
    return {};
  }
  SUTRA_TRY(set_awq_groups(qzeros->view(), scales->view(), *name, matrix));
  SUTRA_TRY(tensors_.take(qzeros_name));
  SUTRA_TRY(tensors_.take(scales_name));
  found->second.has_groups = true;
  return {};
}

WeightSink::WeightSink(WeightMap& out, const std::optional<PackedConfig>& packed, bool packs_blocks)
    : out_(out), plain_(out.tensors_), packs_blocks_(packs_blocks) {
  if (packed && packed->layout == PackedLayout::kAwqGemm && packed->bits == 4) awq_ = packed;
}

size_t WeightSink::group_size_of(std::string_view qweight) const {
  for (const auto& [name, group_size] : awq_->other_group_sizes) {
    if (name == *matrix_of(qweight, kQweight)) return group_size;
  }
  return awq_->group_size;
}

// Two dimensions of words, and no matrix that grows by being packed: one of few rows or columns would, and its size is
// only what the file says.
bool WeightSink::can_pack_awq(const TensorEntry& entry) const {
  if (!awq_ || !entry.name.ends_with(kQweight)) return false;
  if (entry.dtype != Dtype::kI32 || entry.shape.n_dims() != 2) return false;
  const auto n_out = checked_mul(entry.shape[1], 8);
  if (!n_out || !fits_size_t(*n_out) || !fits_size_t(entry.shape[0])) return false;
  const auto packed_bytes = kernels::q4_packed_bytes(*n_out, entry.shape[0], group_size_of(entry.name));
  return packed_bytes && *packed_bytes / 2 <= entry.end - entry.begin;
}

// The same of blocks. 4 bits become 8, so they may double; and sixteen rows in float32 have to be small.
bool WeightSink::can_pack_blocks(const TensorEntry& entry) const {
  constexpr uint64_t kMaxColumns = uint64_t{1} << 18;
  if (!packs_blocks_ || !is_block(entry.dtype) || entry.shape.n_dims() != 2) return false;
  if (keeps(entry.name)) return false;
  if (!fits_size_t(entry.shape[0]) || entry.shape[1] > kMaxColumns) return false;
  const auto packed_bytes = BlockPacker::packed_bytes(entry.dtype, entry.shape[0], entry.shape[1]);
  return packed_bytes && *packed_bytes / 2 <= entry.end - entry.begin;
}

void WeightSink::keep(std::vector<std::string> names) {
  kept_ = std::move(names);
  std::ranges::sort(kept_);
}

bool WeightSink::keeps(std::string_view name) const { return std::ranges::binary_search(kept_, name); }

Status WeightSink::begin(const TensorEntry& entry) {
  const bool is_matrix = entry.shape.n_dims() == 2;
  const bool is_words = entry.dtype == Dtype::kI32 && (entry.name.ends_with(kQweight) || entry.name.ends_with(kPacked));
  if (is_matrix && (is_block(entry.dtype) || is_words)) {
    out_.has_quantized_ = true;
  }
  if (can_pack_awq(entry)) {
    const auto n_out = static_cast<size_t>(entry.shape[1] * 8);
    SUTRA_ASSIGN(packer_, AwqPacker::create(n_out, static_cast<size_t>(entry.shape[0]), group_size_of(entry.name)));
    return {};
  }
  if (can_pack_blocks(entry)) {
    SUTRA_ASSIGN(block_packer_, BlockPacker::create(entry.dtype, static_cast<size_t>(entry.shape[0]),
                                                    static_cast<size_t>(entry.shape[1])));
    block_name_ = entry.name;
    return {};
  }
  return plain_.begin(entry);
}

Status WeightSink::write(std::span<const std::byte> bytes) {
  if (block_packer_) {
    const Status status = block_packer_->write(bytes);
    if (!status) return fail(status.error().code, "tensor '", printable(block_name_), "': ", status.error().message);
    return {};
  }
  if (!packer_) return plain_.write(bytes);
  packer_->write(bytes);
  return {};
}

Status WeightSink::end(const TensorEntry& entry) {
  if (block_packer_) {
    out_.blocks_.emplace(entry.name, block_packer_->finish());
    block_packer_.reset();
    return {};
  }
  if (packer_) {
    out_.packed_.emplace(*matrix_of(entry.name, kQweight), WeightMap::Packed{packer_->finish()});
    packer_.reset();
  } else {
    SUTRA_TRY(plain_.end(entry));
  }
  return awq_ ? out_.complete(entry.name) : Status();
}

}  // namespace sutra
