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
    std::memset(out, 0, nibble_bytes + view.tail_bytes());
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
      std::byte* const second = out + nibble_bytes + kQ4ScaleBytes;
      if (view.form == Q4Form::kZeros) {
        second[r] = static_cast<std::byte>(parts.zeros[index]);
      } else {
        std::memcpy(second + r * sizeof(uint16_t), &parts.offsets[index], sizeof(uint16_t));
      }
    }
    out += nibble_bytes + view.tail_bytes();
  }
  return out;
}

Status check_finite(std::string_view what, std::span<const uint16_t> halves, size_t n_groups) {
  for (size_t i = 0; i < halves.size(); ++i) {
    if (f16_is_finite(halves[i])) continue;
    return fail(ErrorCode::kNonFinite, "4-bit ", what, " of row ", i / n_groups, ", group ", i % n_groups,
                " is NaN or infinite");
  }
  return {};
}

float half_at(const std::byte* at) {
  uint16_t half = 0;
  std::memcpy(&half, at, sizeof half);
  return f16_to_f32(half);
}

}  // namespace

Q4GroupEnd q4_group_end(Q4Form form, const std::byte* tail, size_t row_in_tile) {
  const std::byte* const second = tail + kQ4ScaleBytes;
  const float scale = half_at(tail + row_in_tile * sizeof(uint16_t));
  if (form == Q4Form::kZeros) return {scale, static_cast<int32_t>(second[row_in_tile]), 0.0f};
  return {scale, 0, half_at(second + row_in_tile * sizeof(uint16_t))};
}

Result<uint64_t> q4_packed_bytes(uint64_t n_rows, uint64_t n_cols, uint64_t group_size, Q4Form form) {
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
  const auto tails = checked_mul(n_groups, q4_tail_bytes(form));
  const auto tile = nibbles && tails ? checked_add(*nibbles, *tails) : std::nullopt;
  const auto total = tile ? checked_mul(n_tiles, *tile) : std::nullopt;
  if (!total || !fits_size_t(*total)) {
    return fail(ErrorCode::kTooLarge, "4-bit matrix [", n_rows, ", ", n_cols, "] does not fit the address space");
  }
  return *total;
}

Status pack_q4(const Q4Parts& parts, size_t n_rows, size_t n_cols, size_t group_size, std::span<std::byte> out) {
  SUTRA_ASSIGN(const uint64_t bytes, q4_packed_bytes(n_rows, n_cols, group_size, parts.form()));
  const Q4View view{out.data(), n_rows, n_cols, group_size, parts.form()};
  const size_t n_groups = view.n_groups();
  SUTRA_ASSERT(out.size() == bytes);
  SUTRA_ASSERT(parts.nibbles.size() == n_rows * n_cols);
  SUTRA_ASSERT(parts.scales.size() == n_rows * n_groups);
  SUTRA_ASSERT(std::max(parts.zeros.size(), parts.offsets.size()) == n_rows * n_groups);
  SUTRA_TRY(check_finite("scale", parts.scales, n_groups));
  SUTRA_TRY(check_finite("offset", parts.offsets, n_groups));
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
    const Q4GroupEnd end = q4_group_end(view.form, tail, r);
    for (size_t k = 0; k < n; ++k) {
      const size_t column = k % kQ4BlockColumns;
      const std::byte byte = at[k / kQ4BlockColumns * kQ4BlockBytes + byte_in_block(r, column)];
      const int q = static_cast<int>(byte >> shift_in_block(column)) & 15;
      const float product = static_cast<float>(q - end.zero) * end.scale;
      out[first + k] = view.form == Q4Form::kZeros ? product : product + end.offset;
    }
    at = tail + view.tail_bytes();
  }
}

}  // namespace sutra::kernels
