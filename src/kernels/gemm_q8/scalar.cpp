#include <cstring>

#include "kernels/gemm_q8/variants.h"

namespace sutra::kernels::scalar {
namespace {

// Σ q·xq of row r of a tile over n_blocks blocks of 8 columns.
int32_t dot_row(const std::byte* blocks, size_t n_blocks, size_t r, const int16_t* pairs) {
  int32_t sum = 0;
  for (size_t block = 0; block < n_blocks; ++block) {
    for (size_t column = 0; column < Q8View::kBlockColumns; ++column) {
      const size_t at = column / 4 * 64 + r * 4 + column % 4;
      sum +=
          static_cast<int8_t>(blocks[block * Q8View::kBlockBytes + at]) * pairs[block * Q8View::kBlockColumns + column];
    }
  }
  return sum;
}

float dot_token(const Q8View& w, const Activations& x, size_t row, size_t token) {
  const std::byte* blocks = w.data + row / Q8View::kTileRows * w.tile_bytes();
  const size_t r = row % Q8View::kTileRows;
  float y = 0.0f;
  for (size_t group = 0; group < w.n_groups(); ++group) {
    const size_t first = group * Q8View::group_size;
    const size_t rest = w.n_cols - first;
    const size_t n_blocks = div_up(rest < Q8View::group_size ? rest : Q8View::group_size, Q8View::kBlockColumns);
    const std::byte* tail = blocks + n_blocks * Q8View::kBlockBytes;
    float scale = 0.0f;
    std::memcpy(&scale, tail + r * sizeof scale, sizeof scale);
    y += static_cast<float>(dot_row(blocks, n_blocks, r, x.pairs(token) + first)) * (scale * x.scales(token)[group]);
    blocks = tail + Q8View::kTailBytes;
  }
  return y;
}

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  for (size_t token = 0; token < x.n_tokens; ++token) {
    for (size_t row = first_row; row < last_row; ++row) y[token * y_stride + row] = dot_token(w, x, row, token);
  }
}

}  // namespace sutra::kernels::scalar
