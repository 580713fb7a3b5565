#include "model/linear.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/gemm_q4/gemm_q4.h"
#include "kernels/gemm_q8/gemm_q8.h"
#include "quant/ggml_blocks.h"
#include "quant/packed_rows.h"

namespace sutra {
namespace {

kernels::Activations activations_of(const Q4Matrix& weight, const LinearInput& input, bool int8_activations) {
  return {input.quantized, input.n_tokens, weight.n_cols(), weight.group_size(),
          int8_activations ? kernels::Precision::kA8 : kernels::Precision::kA15};
}

kernels::Activations activations_of(const Q8Matrix& weight, const LinearInput& input) {
  return {input.quantized, input.n_tokens, weight.n_cols(), kernels::Q8View::group_size, kernels::Precision::kA14};
}

kernels::MatrixF matrix_view(const Tensor& weight, size_t n_out, size_t n_in) {
  return {weight.bytes().data(), weight.dtype(), n_out, n_in};
}

}  // namespace

Result<Linear> Linear::take(WeightMap& tensors, std::string_view name, size_t n_out, size_t n_in,
                            const ModelConfig& config, const WeightOptions& options) {
  Linear linear;
  linear.n_out_ = n_out;
  linear.n_in_ = n_in;
  linear.int8_activations_ = options.int8_activations;
  if (options.taps != nullptr) {
    if (const auto tap = options.taps->find(name); tap != options.taps->end()) linear.tap_ = &tap->second;
  }
  if (config.packed && has_packed(tensors, name, config.packed->layout)) {
    SUTRA_ASSIGN(linear.weight_, take_packed(tensors, name, n_out, n_in, *config.packed, options.exact));
    return linear;
  }
  SUTRA_ASSIGN(linear.weight_, tensors.take_matrix(concat(name, ".weight"), n_out, n_in, options.exact));
  return linear;
}

Result<Linear> Linear::take_embedding(WeightMap& tensors, std::string_view name, size_t n_rows, size_t n_cols,
                                      const ModelConfig& config, const WeightOptions& options) {
  SUTRA_ASSIGN(Linear linear, take(tensors, name, n_rows, n_cols, config, options));
  SUTRA_ASSIGN(linear.row_scale_, take_vector_if_any(tensors, concat(name, "_scale"), {n_cols}));
  return linear;
}

void Linear::prepare(const LinearInput& input, size_t first_token, size_t last_token) const {
  if (tap_ != nullptr) {
    const auto found =
        std::ranges::find_if(tap_->chunks, [&](const auto& chunk) { return chunk.workspace->contains(input.x); });
    SUTRA_ASSERT(found != tap_->chunks.end() && input.n_tokens * n_in_ <= found->rows.size());
    InputTap::Chunk& chunk = *found;
    std::copy(input.x + first_token * n_in_, input.x + last_token * n_in_, chunk.rows.data() + first_token * n_in_);
    if (first_token == 0) chunk.n_tokens = input.n_tokens;  // of all threads, one
  }
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    kernels::quantize_activations(input.x, activations_of(*q4, input, int8_activations_), first_token, last_token);
  } else if (const auto* q8 = std::get_if<Q8Matrix>(&weight_)) {
    kernels::quantize_activations(input.x, activations_of(*q8, input), first_token, last_token);
  }
}

void Linear::multiply(const LinearInput& input, size_t first_row, size_t last_row, float* y, size_t y_stride) const {
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    kernels::gemm_q4(q4->view(), activations_of(*q4, input, int8_activations_), first_row, last_row, y, y_stride);
  } else if (const auto* q8 = std::get_if<Q8Matrix>(&weight_)) {
    kernels::gemm_q8(q8->view(), activations_of(*q8, input), first_row, last_row, y, y_stride);
  } else {
    const kernels::MatrixF matrix = matrix_view(std::get<Tensor>(weight_), n_out_, n_in_);
    kernels::gemm_f({matrix, input.x, input.n_tokens, first_row, last_row, y, y_stride});
  }
}

void multiply_all(std::span<const Product> products, ThreadPool& pool) {
  Work work{products.front().input.n_tokens, 0};
  for (const Product& p : products) work.per_token += p.linear->n_in() * p.linear->n_out();
  const size_t n_shares = n_pieces(pool, work);
  pool.parallel_for(n_shares, 1, n_shares, [&](size_t first, size_t last) {
    for (const Product& p : products) {
      const size_t n_out = p.linear->n_out();
      const size_t n_tiles = div_up(n_out, Linear::kTileRows);
      const auto row = [&](size_t index) { return std::min(n_out, n_tiles * index / n_shares * Linear::kTileRows); };
      if (row(first) < row(last)) p.linear->multiply(p.input, row(first), row(last), p.y, p.y_stride);
    }
  });
}

void multiply_add(const Linear& linear, const LinearInput& input, const float* bias, float* scratch, float* residual,
                  ThreadPool& pool, float scale) {
  const size_t n_out = linear.n_out();
  share(pool, n_out, Linear::kTileRows, {input.n_tokens, linear.n_in() * n_out}, [&](size_t first, size_t last) {
    linear.multiply(input, first, last, scratch, n_out);
    for (size_t t = 0; t < input.n_tokens; ++t) {
      const size_t at = t * n_out + first;
      if (bias != nullptr) kernels::add_bias(scratch + at, bias + first, 1, last - first, scratch + at);
      kernels::add_scaled(residual + at, scratch + at, scale, last - first, residual + at);
    }
  });
}

void prepare_and_multiply(const Linear& linear, const LinearInput& input, float* y, ThreadPool& pool) {
  linear.prepare(input, 0, input.n_tokens);
  const Product product{&linear, input, y, linear.n_out()};
  multiply_all({&product, 1}, pool);
}

void Linear::copy_row(size_t id, float* y) const {
  unpack_row(id, y);
  if (!row_scale_.bytes().empty()) kernels::mul(y, data(row_scale_), n_in_, y);
}

void Linear::unpack_row(size_t id, float* y) const {
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    kernels::unpack_row_q4(q4->view(), id, y);
    return;
  }
  if (const auto* q8 = std::get_if<Q8Matrix>(&weight_)) {
    kernels::unpack_row_q8(q8->view(), id, y);
    return;
  }
  const Tensor& weight = std::get<Tensor>(weight_);
  const std::byte* row = weight.bytes().data() + id * n_in_ * dtype_bytes(weight.dtype());
  if (weight.dtype() == Dtype::kF32) {
    std::memcpy(y, row, n_in_ * sizeof(float));
    return;
  }
  const std::span halves(reinterpret_cast<const uint16_t*>(row), n_in_);
  std::ranges::transform(halves, y, weight.dtype() == Dtype::kF16 ? f16_to_f32 : bf16_to_f32);
}

bool Linear::shares_input_with(const Linear& other) const {
  const auto* q4 = std::get_if<Q4Matrix>(&weight_);
  const auto* other_q4 = std::get_if<Q4Matrix>(&other.weight_);
  if (q4 != nullptr && other_q4 != nullptr) return q4->group_size() == other_q4->group_size();
  return weight_.index() == other.weight_.index();
}

size_t Linear::input_bytes(size_t n_tokens) const {
  const LinearInput input{nullptr, n_tokens, nullptr};
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    return activations_of(*q4, input, int8_activations_).token_bytes() * n_tokens;
  }
  if (const auto* q8 = std::get_if<Q8Matrix>(&weight_)) return activations_of(*q8, input).token_bytes() * n_tokens;
  return 0;
}

uint64_t Linear::weight_bytes() const {
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) return q4->size_bytes();
  if (const auto* q8 = std::get_if<Q8Matrix>(&weight_)) return q8->size_bytes();
  return std::get<Tensor>(weight_).bytes().size();
}

void LinearSizes::add(const Linear& linear) {
  weight_bytes += linear.weight_bytes();
  input_bytes = std::max(input_bytes, linear.input_bytes(1));
}

Result<Tensor> take_vector(WeightMap& tensors, std::string_view name, const Shape& shape) {
  SUTRA_ASSIGN(const Tensor source, tensors.take(name, kFloatsAndBlocks, shape));
  return widen(source.view());
}

Result<Tensor> take_vector_if_any(WeightMap& tensors, std::string_view name, const Shape& shape) {
  return tensors.contains(name) ? take_vector(tensors, name, shape) : Tensor();
}

Result<Tensor> take_transposed(WeightMap& tensors, std::string_view name, const Shape& shape) {
  SUTRA_ASSIGN(const Tensor source, take_vector(tensors, name, shape));
  const auto n_rows = static_cast<size_t>(shape[0]), n_cols = static_cast<size_t>(shape[shape.n_dims() - 1]);
  SUTRA_ASSIGN(Tensor result, Tensor::create(Dtype::kF32, {n_cols, n_rows}));
  const auto in = source.as<float>();
  const auto out = result.as<float>();
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t col = 0; col < n_cols; ++col) out[col * n_rows + row] = in[row * n_cols + col];
  }
  return result;
}

void negative_exp(Tensor& tensor) {
  const auto values = tensor.as<float>();
  kernels::exp(values.data(), values.size(), values.data());
  for (float& value : values) value = -value;
}

}  // namespace sutra
