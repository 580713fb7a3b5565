// y = W x in whatever form W is held: the one place that chooses between 4-bit and float products.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/model.h"
#include "model/workspace.h"
#include "quant/q4_matrix.h"
#include "quant/weight_map.h"

namespace sutra {

// Scratch of Linear::forward: the quantised activations of one input [T, K].
struct LinearScratch {
  std::byte* activations = nullptr;
};

class Linear {
 public:
  // Takes `name`.weight [N, K] in any float dtype (F64 is narrowed to F32), or `name`.qweight, .qzeros and
  // .scales in the AWQ layout, from `tensors`.
  static Result<Linear> take(WeightMap& tensors, std::string_view name, size_t n_out, size_t n_in,
                             const ModelConfig& config, const WeightOptions& options);

  // x [T, K] → y, row t at y + t · y_stride. Rows of W are shared out among the pool's threads.
  void forward(const float* x, size_t n_tokens, float* y, size_t y_stride, const LinearScratch& scratch,
               ThreadPool& pool) const;
  void forward(const float* x, size_t n_tokens, float* y, const LinearScratch& scratch, ThreadPool& pool) const {
    forward(x, n_tokens, y, n_out_, scratch, pool);
  }
  // y [K] = row `id` of W in float32: the embedding of a token.
  void copy_row(size_t id, float* y) const;

  [[nodiscard]] size_t scratch_bytes(size_t n_tokens) const;
  [[nodiscard]] uint64_t weight_bytes() const;
  [[nodiscard]] size_t n_out() const { return n_out_; }
  [[nodiscard]] size_t n_in() const { return n_in_; }

 private:
  std::variant<Tensor, Q4Matrix> weight_;
  size_t n_out_ = 0;
  size_t n_in_ = 0;
  bool int8_activations_ = false;
};

// A float vector of n elements as F32, whatever dtype and (given) shape the file has.
Result<Tensor> take_vector(WeightMap& tensors, std::string_view name, const Shape& shape);

}  // namespace sutra
