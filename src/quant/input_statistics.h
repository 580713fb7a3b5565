// What calibration remembers of a linear layer's input X [n, K], for the searches of awq_search.h: moments of each
// channel, XᵀX of each block of channels that may share a scale, and some of the rows themselves.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace sutra {

class InputStatistics {
 public:
  // Channels of a block: the largest group of weights.
  static constexpr size_t kBlock = 128;
  // Columns of a tile of product_tiles().
  static constexpr size_t kTile = 16;
  // Rows kept of a long calibration.
  static constexpr size_t kMaxSamples = 256;
  // Tokens that XᵀX is made of, about: several times the channels of a block.
  static constexpr uint64_t kProductTokens = 4096;

  // For about n_tokens rows of n_channels: rows are kept evenly spaced over them. kOutOfMemory.
  static Result<InputStatistics> create(size_t n_channels, uint64_t n_tokens);

  // rows [T, K], T small enough that sums in float32 do: a chunk. kNonFinite; the statistics are of no use then.
  Status add(std::span<const float> rows);
  // What would have been seen had each channel been divided by s [K] > 0.
  void divide(std::span<const float> s);

  [[nodiscard]] size_t n_channels() const { return n_channels_; }
  [[nodiscard]] uint64_t n_tokens() const { return n_tokens_; }
  // [K] means over the rows: of |x|, of x, and of (x − mean)². At least one row was added.
  [[nodiscard]] std::span<const float> mean_abs() const { return mean_abs_.as<float>(); }
  [[nodiscard]] std::span<const float> mean() const { return mean_.as<float>(); }
  [[nodiscard]] std::span<const float> variance() const { return variance_.as<float>(); }
  // Mean of xᵢ xⱼ, i ≤ j, of one block.
  [[nodiscard]] float product(size_t i, size_t j) const {
    const size_t block = i / kBlock, width = std::min(kBlock, n_channels_ - block * kBlock);
    const float* const products = products_.as<float>().data() + block * kBlock * kBlock;
    return products[i % kBlock * width + j % kBlock] * (1 / static_cast<float>(product_tokens_));
  }
  // The same for channels first ≤ i, j < first + n of one block, as kernels::quadratic_errors() takes them; what n lacks
  // to a multiple of kTile is zeros.
  [[nodiscard]] std::vector<float> product_tiles(size_t first, size_t n) const;
  // [S, K]: at least one, at most kMaxSamples.
  [[nodiscard]] std::span<const float> samples() const { return samples_.as<float>().first(n_samples_ * n_channels_); }
  [[nodiscard]] size_t n_samples() const { return n_samples_; }

 private:
  bool add_moments(std::span<const float> rows, size_t block);

  size_t n_channels_ = 0;
  uint64_t n_tokens_ = 0;
  uint64_t sample_step_ = 1;
  uint64_t product_step_ = 1;    // one token in so many goes into the products
  uint64_t product_tokens_ = 0;  // that did
  size_t n_samples_ = 0;
  Tensor mean_abs_, mean_, variance_;  // [K]
  Tensor products_;                    // [⌈K/128⌉, 128, 128], sums, upper triangles
  Tensor samples_;                     // [kMaxSamples, K]
};

}  // namespace sutra
