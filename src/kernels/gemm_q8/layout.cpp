#include "kernels/gemm_q8/layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "kernels/activations/activations.h"

namespace sutra::kernels {
namespace {

// Byte of one weight inside a block: row in 0…15, column in 0…7.
size_t byte_in_block(size_t row, size_t column) { return column / 4 * 64 + row / 4 * 16 + row % 4 * 4 + column % 4; }

// Row r of one group: `n` weights into its blocks, scale and offset into its tail.
void pack_group(const float* weights, size_t n, size_t r, std::byte* blocks, std::byte* tail) {
  float largest = 0;
  for (size_t k = 0; k < n; ++k) largest = std::max(largest, std::abs(weights[k]));
  float scale = largest / 127.0f;
  if (scale < std::numeric_limits<float>::min()) scale = 0;
  int32_t sum = 0;
  for (size_t k = 0; k < n && scale > 0; ++k) {
    const auto q = static_cast<int32_t>(std::nearbyint(std::clamp(weights[k] / scale, -127.0f, 127.0f)));
    blocks[k / Q8View::kBlockColumns * Q8View::kBlockBytes + byte_in_block(r, k % Q8View::kBlockColumns)] =
        static_cast<std::byte>(static_cast<int8_t>(q));
    sum += q;
  }
  const int32_t offset = sum * kA14Offset;
  std::memcpy(tail + r * sizeof scale, &scale, sizeof scale);
  std::memcpy(tail + Q8View::kTileRows * sizeof scale + r * sizeof offset, &offset, sizeof offset);
}

}  // namespace

Result<uint64_t> q8_packed_bytes(uint64_t n_rows, uint64_t n_cols) {
  if (n_rows == 0 || n_cols == 0) {
    return fail(ErrorCode::kInvalidArgument, "8-bit matrix [", n_rows, ", ", n_cols, "] is empty");
  }
  const uint64_t n_tiles = n_rows / Q8View::kTileRows + (n_rows % Q8View::kTileRows != 0);
  const uint64_t n_blocks = n_cols / Q8View::kBlockColumns + (n_cols % Q8View::kBlockColumns != 0);
  const uint64_t n_groups = n_cols / Q8View::group_size + (n_cols % Q8View::group_size != 0);
  const auto weights = checked_mul(n_blocks, Q8View::kBlockBytes);
  const auto tails = checked_mul(n_groups, Q8View::kTailBytes);
  const auto tile = weights && tails ? checked_add(*weights, *tails) : std::nullopt;
  const auto total = tile ? checked_mul(n_tiles, *tile) : std::nullopt;
  if (!total || !fits_size_t(*total)) {
    return fail(ErrorCode::kTooLarge, "8-bit matrix [", n_rows, ", ", n_cols, "] does not fit the address space");
  }
  return *total;
}

void quantize_q8(std::span<const float> weights, size_t n_rows, size_t n_cols, std::span<std::byte> out) {
  const Q8View view{out.data(), n_rows, n_cols};
  SUTRA_ASSERT(weights.size() == n_rows * n_cols);
  SUTRA_ASSERT(out.size() == div_up(n_rows, Q8View::kTileRows) * view.tile_bytes());
  std::ranges::fill(out, std::byte{0});
  for (size_t row = 0; row < n_rows; ++row) {
    std::byte* blocks = out.data() + row / Q8View::kTileRows * view.tile_bytes();
    for (size_t first = 0; first < n_cols; first += Q8View::group_size) {
      const size_t n = std::min(Q8View::group_size, n_cols - first);
      std::byte* tail = blocks + div_up(n, Q8View::kBlockColumns) * Q8View::kBlockBytes;
      pack_group(weights.data() + row * n_cols + first, n, row % Q8View::kTileRows, blocks, tail);
      blocks = tail + Q8View::kTailBytes;
    }
  }
}

void unpack_row_q8(const Q8View& view, size_t row, float* out) {
  SUTRA_ASSERT(row < view.n_rows);
  const std::byte* blocks = view.data + row / Q8View::kTileRows * view.tile_bytes();
  const size_t r = row % Q8View::kTileRows;
  for (size_t first = 0; first < view.n_cols; first += Q8View::group_size) {
    const size_t n = std::min(Q8View::group_size, view.n_cols - first);
    const std::byte* tail = blocks + div_up(n, Q8View::kBlockColumns) * Q8View::kBlockBytes;
    float scale = 0;
    std::memcpy(&scale, tail + r * sizeof scale, sizeof scale);
    for (size_t k = 0; k < n; ++k) {
      const std::byte byte =
          blocks[k / Q8View::kBlockColumns * Q8View::kBlockBytes + byte_in_block(r, k % Q8View::kBlockColumns)];
      out[first + k] = static_cast<float>(static_cast<int8_t>(byte)) * scale;
    }
    blocks = tail + Q8View::kTailBytes;
  }
}

}  // namespace sutra::kernels
