// Product of a weight matrix in float form with float32 activations: the exact path.
//
//   y[t][n] = Σ_k w[n][k] · x[t][k]      for first_row ≤ n < last_row, 0 ≤ t < T
//
// Shapes: w [N,K] row-major, x [T,K], y: row t starts at y + t·y_stride. Columns of y outside the row range are not
// touched.
// Preconditions: weights are finite; y overlaps neither input; first_row ≤ last_row ≤ N. Nothing needs alignment beyond
// its own element type. K = 0 gives zeros.
// Numerics: weights are widened to float32 exactly, products and sums are float32. Partial sum i (0 ≤ i < 16) takes
// k = i, i + 16, … in order; then the sixteen are added as a tree: i + (i+8), i + (i+4), i + (i+2), i + (i+1). The
// order depends on K alone: prefill, single steps, any row range and every variant give the same bits.
// Error: |y − exact| ≤ (K/16 + 5) · 2^-24 · Σ|w·x| to first order.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"
#include "tensor/dtype.h"

namespace sutra::kernels {

struct MatrixF {
  const void* data;  // [n_rows, n_cols], row-major, dense
  Dtype dtype;       // kF32, kF16 or kBF16
  size_t n_rows;     // N: outputs
  size_t n_cols;     // K: inputs
};

struct GemmFArgs {
  MatrixF w;
  const float* x;   // [T,K]
  size_t n_tokens;  // T
  size_t first_row, last_row;
  float* y;         // [T, y_stride]
  size_t y_stride;  // elements from one token's outputs to the next's, ≥ N
};

// Row ranges are how threads share the work.
void gemm_f(const GemmFArgs& args);

using GemmFKernel = void (*)(const GemmFArgs&);
std::span<const Variant<GemmFKernel>> gemm_f_variants();

}  // namespace sutra::kernels
