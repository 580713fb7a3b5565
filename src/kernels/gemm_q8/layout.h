// The 8-bit weight layout of the kernels: for matrices that 4 bits would hurt (low-rank pairs, x_proj, dt_proj).
//
//   w[n, k] = q[n, k] · scale[n, g],   g = k / 128,   q in −127…127
//
// N rows (outputs), K columns (inputs), G = ceil(K / 128) groups along a row.
//
// The matrix is cut into tiles of 16 rows; a tile holds its G groups one after the other:
//
//   weights   ceil(k_in_group / 8) blocks of 128 bytes. A block is 8 columns k…k+7 of 16 rows, as 8 vectors of 16
//             bytes: vector 4h + v (h in 0…1, v in 0…3) has columns k + 4h + j of rows 4v + r at byte 4r + j
//   scales    16 × float32
//   offsets   16 × int32    8192 · Σ q over the group: takes the activations' offset out again (activations.h, A14)
//
// so four consecutive columns of one row meet one 32-bit broadcast of activations, as in gemm_q4. Columns past K and
// rows past N have q = 0. Cost: 8.5 bits a weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/checked.h"
#include "base/error.h"

namespace sutra::kernels {

// A packed matrix; whoever packed it keeps the bytes alive. data is aligned to 16 bytes (64 is faster).
struct Q8View {
  static constexpr size_t kTileRows = 16;
  static constexpr size_t kBlockColumns = 8;
  static constexpr size_t kBlockBytes = kTileRows * kBlockColumns;
  static constexpr size_t kTailBytes = kTileRows * (sizeof(float) + sizeof(int32_t));
  static constexpr size_t group_size = 128;

  const std::byte* data = nullptr;
  size_t n_rows = 0;
  size_t n_cols = 0;

  [[nodiscard]] size_t n_groups() const { return div_up(n_cols, group_size); }
  [[nodiscard]] static constexpr size_t tail_bytes() { return kTailBytes; }
  // From one tile to the next.
  [[nodiscard]] size_t tile_bytes() const {
    return div_up(n_cols, kBlockColumns) * kBlockBytes + n_groups() * kTailBytes;
  }
};

// Bytes of a packed matrix. The sizes may come from a file: kInvalidArgument for an empty matrix, kTooLarge when the
// product wraps or does not fit the address space.
Result<uint64_t> q8_packed_bytes(uint64_t n_rows, uint64_t n_cols);

// Rounds weights [N, K], row-major and finite, and packs them into `out` of exactly q8_packed_bytes bytes:
//   scale = max |w| / 127 over the group,   q = round_half_even(w / scale)
// A group of zeros, or one whose scale would be subnormal, becomes zero.
void quantize_q8(std::span<const float> weights, size_t n_rows, size_t n_cols, std::span<std::byte> out);

// One row in float32, q · scale with one rounding. out has n_cols elements.
void unpack_row_q8(const Q8View& view, size_t row, float* out);

}  // namespace sutra::kernels
