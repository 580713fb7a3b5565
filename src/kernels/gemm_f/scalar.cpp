// The specification of the float matrix product.
#include <cstdint>

#include "base/half.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels::scalar {
namespace {

float weight_at(const MatrixF& w, size_t index) {
  switch (w.dtype) {
    case Dtype::kF16: return f16_to_f32(static_cast<const uint16_t*>(w.data)[index]);
    case Dtype::kBF16: return bf16_to_f32(static_cast<const uint16_t*>(w.data)[index]);
    default: return static_cast<const float*>(w.data)[index];
  }
}

}  // namespace

void gemm_f(const GemmFArgs& args) {
  const size_t n_cols = args.w.n_cols;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t row = args.first_row; row < args.last_row; ++row) {
      float partial[kPartialSums] = {};
      for (size_t k = 0; k < n_cols; ++k) {
        partial[k % kPartialSums] += weight_at(args.w, row * n_cols + k) * args.x[t * n_cols + k];
      }
      for (size_t half = kPartialSums / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; ++i) partial[i] += partial[i + half];
      }
      args.y[t * args.y_stride + row] = partial[0];
    }
  }
}

}  // namespace sutra::kernels::scalar
