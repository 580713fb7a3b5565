#include "kernels/gemm_q4/layout.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/half.h"

namespace sutra::kernels {
namespace {

// Byte and shift of one nibble inside a block: row in 0…15, column in 0…7.
size_t byte_in_block(size_t row, size_t column) { return row / 4 * 16 + row % 4 * 4 + column % 4; }
unsigned shift_in_block(size_t column) { return column < 4 ? 0u : 4u; }

// Copies one tile of n_rows ≤ 16 rows and advances `out` past it.
std::byte* pack_tile(const Q4Parts& parts, size_t first_row, size_t n_rows, const Q4View& view, std::byte* out) {
  const size_t n_groups = view.n_groups();
  for (size_t group = 0; group < n_groups; ++group) {
    const size_t first = group * view.group_size;
    const size_t last = std::min(first + view.group_size, view.n_cols);
    const size_t nibble_bytes = div_up(last - first, kQ4BlockColumns) * kQ4BlockBytes;
    std::memset(out, 0, nibble_bytes + kQ4GroupTailBytes);
    for (size_t r = 0; r < n_rows; ++r) {
      const uint8_t* row = parts.nibbles.data() + (first_row + r) * view.n_cols;
      for (size_t k = first; k < last; ++k) {
        SUTRA_ASSERT(row[k] < 16);
        const size_t column = (k - first) % kQ4BlockColumns;
        std::byte* block = out + (k - first) / kQ4BlockColumns * kQ4BlockBytes;
        block[byte_in_block(r, column)] |= static_cast<std::byte>(row[k] << shift_in_block(column));
      }
      const size_t index = (first_row + r) * n_groups + group;
      std::memcpy(out + nibble_bytes + r * sizeof(uint16_t), &parts.scales[index], sizeof(uint16_t));
      out[nibble_bytes + kQ4TileRows * sizeof(uint16_t) + r] = static_cast<std::byte>(parts.zeros[index]);
    }
    out += nibble_bytes + kQ4GroupTailBytes;
  }
  return out;
}

}  // namespace

Result<uint64_t> q4_packed_bytes(uint64_t n_rows, uint64_t n_cols, uint64_t group_size) {
  if (!q4_group_size_supported(group_size)) {
    return fail(ErrorCode::kInvalidArgument, "4-bit group size ", group_size, " is none of 32, 64, 128");
  }
  if (n_rows == 0 || n_cols == 0) {
    return fail(ErrorCode::kInvalidArgument, "4-bit matrix [", n_rows, ", ", n_cols, "] is empty");
  }
  const uint64_t n_tiles = n_rows / kQ4TileRows + (n_rows % kQ4TileRows != 0);
  const uint64_t n_blocks = n_cols / kQ4BlockColumns + (n_cols % kQ4BlockColumns != 0);
  const uint64_t n_groups = n_cols / group_size + (n_cols % group_size != 0);
  const auto nibbles = checked_mul(n_blocks, kQ4BlockBytes);
  const auto tails = checked_mul(n_groups, kQ4GroupTailBytes);
  const auto tile = nibbles && tails ? checked_add(*nibbles, *tails) : std::nullopt;
  const auto total = tile ? checked_mul(n_tiles, *tile) : std::nullopt;
  if (!total || !fits_size_t(*total)) {
    return fail(ErrorCode::kTooLarge, "4-bit matrix [", n_rows, ", ", n_cols, "] does not fit the address space");
  }
  return *total;
}

Status pack_q4(const Q4Parts& parts, size_t n_rows, size_t n_cols, size_t group_size, std::span<std::byte> out) {
  SUTRA_ASSIGN(const uint64_t bytes, q4_packed_bytes(n_rows, n_cols, group_size));
  const Q4View view{out.data(), n_rows, n_cols, group_size};
  const size_t n_groups = view.n_groups();
  SUTRA_ASSERT(out.size() == bytes);
  SUTRA_ASSERT(parts.nibbles.size() == n_rows * n_cols);
  SUTRA_ASSERT(parts.zeros.size() == n_rows * n_groups);
  SUTRA_ASSERT(parts.scales.size() == n_rows * n_groups);
  for (size_t i = 0; i < parts.scales.size(); ++i) {
    if ((parts.scales[i] & 0x7c00u) == 0x7c00u) {
      return fail(ErrorCode::kNonFinite, "4-bit scale of row ", i / n_groups, ", group ", i % n_groups,
                  " is NaN or infinite");
    }
  }
  std::byte* at = out.data();
  for (size_t row = 0; row < n_rows; row += kQ4TileRows) {
    at = pack_tile(parts, row, std::min(kQ4TileRows, n_rows - row), view, at);
  }
  return {};
}

void unpack_row_q4(const Q4View& view, size_t row, float* out) {
  SUTRA_ASSERT(row < view.n_rows);
  const std::byte* at = view.data + row / kQ4TileRows * view.tile_bytes();
  const size_t r = row % kQ4TileRows;
  for (size_t first = 0; first < view.n_cols; first += view.group_size) {
    const size_t n = std::min(view.group_size, view.n_cols - first);
    const std::byte* tail = at + div_up(n, kQ4BlockColumns) * kQ4BlockBytes;
    uint16_t half = 0;
    std::memcpy(&half, tail + r * sizeof half, sizeof half);
    const float scale = f16_to_f32(half);
    const int zero = static_cast<int>(tail[kQ4TileRows * sizeof half + r]);
    for (size_t k = 0; k < n; ++k) {
      const size_t column = k % kQ4BlockColumns;
      const std::byte byte = at[k / kQ4BlockColumns * kQ4BlockBytes + byte_in_block(r, column)];
      const int q = static_cast<int>(byte >> shift_in_block(column)) & 15;
      out[first + k] = static_cast<float>(q - zero) * scale;
    }
    at = tail + kQ4GroupTailBytes;
  }
}

}  // namespace sutra::kernels
