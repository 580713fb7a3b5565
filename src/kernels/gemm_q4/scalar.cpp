#include <algorithm>

#include "kernels/gemm_q4/variants.h"

namespace sutra::kernels::scalar {
namespace {

// Σ q·xq of one row r of a tile over n_blocks blocks of 8 columns.
int32_t dot_row(const std::byte* blocks, size_t n_blocks, size_t r, const int16_t* pairs) {
  int32_t sum = 0;
  for (size_t block = 0; block < n_blocks; ++block) {
    const std::byte* bytes = blocks + block * kQ4BlockBytes + r * 4;
    const int16_t* x = pairs + block * kQ4BlockColumns;  // columns in the order 0 2 4 6 1 3 5 7
    for (size_t j = 0; j < 4; ++j) {
      const size_t at = j % 2 * 4 + j / 2;
      sum += static_cast<int32_t>(bytes[j] & std::byte{15}) * x[at];
      sum += static_cast<int32_t>(bytes[j] >> 4) * x[at + 2];
    }
  }
  return sum;
}

float dot_token(const Q4View& w, const Activations& x, size_t row, size_t token) {
  const std::byte* at = w.data + row / kQ4TileRows * w.tile_bytes();
  const size_t r = row % kQ4TileRows;
  float y = 0.0f;
  for (size_t group = 0; group < w.n_groups(); ++group) {
    const size_t first = group * w.group_size;
    const size_t n_blocks = div_up(std::min(w.group_size, w.n_cols - first), kQ4BlockColumns);
    const std::byte* tail = at + n_blocks * kQ4BlockBytes;
    const Q4GroupEnd end = q4_group_end(w.form, tail, r);
    const float x_scale = x.scales(token)[group];
    const int32_t x_sum = x.sums(token)[group];
    const int32_t sum = dot_row(at, n_blocks, r, x.pairs(token) + first) - end.zero * x_sum;
    y += static_cast<float>(sum) * (end.scale * x_scale);
    if (w.form == Q4Form::kOffsets) y += end.offset * (static_cast<float>(x_sum) * x_scale);
    at = tail + w.tail_bytes();
  }
  return y;
}

}  // namespace

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  for (size_t token = 0; token < x.n_tokens; ++token) {
    for (size_t row = first_row; row < last_row; ++row) y[token * y_stride + row] = dot_token(w, x, row, token);
  }
}

}  // namespace sutra::kernels::scalar
