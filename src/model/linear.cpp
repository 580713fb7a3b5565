#include "model/linear.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/gemm_q4/gemm_q4.h"

namespace sutra {
namespace {

// Below this many products, waking a thread costs more than it saves.
constexpr size_t kMinParallelProducts = 1 << 16;

kernels::Q4Activations activations_view(const Q4Matrix& weight, size_t n_tokens, bool int8_activations,
                                        std::byte* data) {
  return {data, n_tokens, weight.n_cols(), weight.group_size(),
          int8_activations ? kernels::Precision::kA8 : kernels::Precision::kA15};
}

kernels::MatrixF matrix_view(const Tensor& weight, size_t n_out, size_t n_in) {
  return {weight.bytes().data(), weight.dtype(), n_out, n_in};
}

// The same weights as float32: the exact path.
Result<Tensor> widen(const Q4Matrix& matrix) {
  SUTRA_ASSIGN(Tensor wide, Tensor::create(Dtype::kF32, {matrix.n_rows(), matrix.n_cols()}));
  for (size_t row = 0; row < matrix.n_rows(); ++row) {
    kernels::unpack_row_q4(matrix.view(), row, wide.as<float>().data() + row * matrix.n_cols());
  }
  return wide;
}

}  // namespace

Result<Linear> Linear::take(WeightMap& tensors, std::string_view name, size_t n_out, size_t n_in,
                            const ModelConfig& config, const WeightOptions& options) {
  Linear linear;
  linear.n_out_ = n_out;
  linear.n_in_ = n_in;
  linear.int8_activations_ = options.int8_activations;
  if (config.awq && tensors.contains(concat(name, ".qweight"))) {
    SUTRA_ASSIGN(Q4Matrix matrix, tensors.take_awq(name, n_out, n_in, config.awq->group_size));
    if (options.exact) {
      SUTRA_ASSIGN(linear.weight_, widen(matrix));
    } else {
      linear.weight_ = std::move(matrix);
    }
    return linear;
  }
  SUTRA_ASSIGN(Tensor weight, tensors.take(concat(name, ".weight"), kAnyFloat, {n_out, n_in}));
  if (weight.dtype() == Dtype::kF64) {
    SUTRA_ASSIGN(weight, to_f32(weight.view()));
  }
  linear.weight_ = std::move(weight);
  return linear;
}

void Linear::forward(const float* x, size_t n_tokens, float* y, size_t y_stride, const LinearScratch& scratch,
                     ThreadPool& pool) const {
  const size_t products = n_tokens * n_in_ * n_out_;
  // All rows in one share where threads do not pay.
  const size_t grain = products < kMinParallelProducts ? round_up(n_out_, kernels::kQ4TileRows) : kernels::kQ4TileRows;
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    const auto activations = activations_view(*q4, n_tokens, int8_activations_, scratch.activations);
    kernels::quantize_activations(x, n_in_, activations);
    pool.parallel_for(n_out_, grain, [&](size_t first, size_t last) {
      kernels::gemm_q4(q4->view(), activations, first, last, y, y_stride);
    });
    return;
  }
  const kernels::MatrixF matrix = matrix_view(std::get<Tensor>(weight_), n_out_, n_in_);
  pool.parallel_for(n_out_, grain, [&](size_t first, size_t last) {
    kernels::gemm_f({matrix, x, n_tokens, first, last, y, y_stride});
  });
}

void Linear::copy_row(size_t id, float* y) const {
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) {
    kernels::unpack_row_q4(q4->view(), id, y);
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

size_t Linear::scratch_bytes(size_t n_tokens) const {
  const auto* q4 = std::get_if<Q4Matrix>(&weight_);
  if (q4 == nullptr) return 0;
  return activations_view(*q4, n_tokens, int8_activations_, nullptr).token_bytes() * n_tokens;
}

uint64_t Linear::weight_bytes() const {
  if (const auto* q4 = std::get_if<Q4Matrix>(&weight_)) return q4->size_bytes();
  return std::get<Tensor>(weight_).bytes().size();
}

Result<Tensor> take_vector(WeightMap& tensors, std::string_view name, const Shape& shape) {
  SUTRA_ASSIGN(const Tensor source, tensors.take(name, kAnyFloat, shape));
  return to_f32(source.view());
}

}  // namespace sutra
