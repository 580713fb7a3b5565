// The 4-bit weight layout of the kernels: what every source format is repacked into once, at load.
//
//   w[n, k] = (q[n, k] − zero[n, g]) · scale[n, g],   g = k / group_size,   q in 0…15, zero in 0…255
//   w[n, k] = q[n, k] · scale[n, g] + offset[n, g]    where the source's zero is no integer (GGUF's Q4_1 and Q4_K)
//
// N rows (outputs), K columns (inputs), G = ceil(K / group_size) groups along a row.
//
// The matrix is cut into tiles of 16 rows; a tile holds its G groups one after the other:
//
//   nibbles   ceil(k_in_group / 8) blocks of 64 bytes. A block is 8 columns k…k+7 of 16 rows, as 4 vectors of 16
//             bytes: vector v has rows 4v…4v+3, its byte 4r + j (r, j in 0…3) has column k + j in the low nibble
//             and column k + 4 + j in the high nibble of row 4v + r
//   scales    16 × binary16
//   zeros     16 × uint8, or offsets 16 × binary16
//
// so the product reads one linear stream, four consecutive columns of one row meet one 32-bit broadcast of
// activations, and no sum ever crosses lanes. Columns past K (to a multiple of 8) have q = 0 and meet activations of
// zero; rows past N are zero in all parts. Cost at group size 128: 4.19 bits a weight; at 32 with offsets 5.
//
// Tiles are independent: the bytes of a matrix are the bytes of its 16-row slices, one after the other. A caller that
// does not want all nibbles of a large matrix in memory packs it slice by slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/checked.h"
#include "base/error.h"

namespace sutra::kernels {

inline constexpr size_t kQ4TileRows = 16;
inline constexpr size_t kQ4BlockColumns = 8;
inline constexpr size_t kQ4BlockBytes = kQ4TileRows * kQ4BlockColumns / 2;
inline constexpr size_t kQ4MaxGroupSize = 128;

// What is taken from, or added to, a group's weights.
enum class Q4Form : uint8_t { kZeros, kOffsets };

inline constexpr size_t kQ4ScaleBytes = kQ4TileRows * sizeof(uint16_t);
constexpr size_t q4_tail_bytes(Q4Form form) {
  return kQ4ScaleBytes + kQ4TileRows * (form == Q4Form::kZeros ? sizeof(uint8_t) : sizeof(uint16_t));
}

// Group sizes the kernels take: 32, 64, 128.
constexpr bool q4_group_size_supported(uint64_t group_size) {
  return group_size == 32 || group_size == 64 || group_size == 128;
}

// A packed matrix; whoever packed it keeps the bytes alive. data is aligned to 16 bytes (64 is faster).
struct Q4View {
  static constexpr size_t kTileRows = kQ4TileRows;
  static constexpr size_t kBlockColumns = kQ4BlockColumns;
  static constexpr size_t kBlockBytes = kQ4BlockBytes;

  const std::byte* data = nullptr;
  size_t n_rows = 0;
  size_t n_cols = 0;
  size_t group_size = 0;
  Q4Form form = Q4Form::kZeros;

  [[nodiscard]] size_t n_groups() const { return div_up(n_cols, group_size); }
  [[nodiscard]] size_t tail_bytes() const { return q4_tail_bytes(form); }
  // From one tile to the next.
  [[nodiscard]] size_t tile_bytes() const {
    return div_up(n_cols, kQ4BlockColumns) * kQ4BlockBytes + n_groups() * tail_bytes();
  }
};

// One row's part of a group's tail. Whichever of zero and offset the form does not have is 0.
struct Q4GroupEnd {
  float scale;
  int32_t zero;
  float offset;
};
Q4GroupEnd q4_group_end(Q4Form form, const std::byte* tail, size_t row_in_tile);

// Bytes of a packed matrix. The sizes may come from a file: kInvalidArgument for a group size that is not supported or
// an empty matrix, kTooLarge when the product wraps or does not fit the address space.
Result<uint64_t> q4_packed_bytes(uint64_t n_rows, uint64_t n_cols, uint64_t group_size, Q4Form form = Q4Form::kZeros);

// The parts of a matrix before packing, row-major.
struct Q4Parts {
  std::span<const uint8_t> nibbles;        // [N, K], 0…15 each (asserted)
  std::span<const uint8_t> zeros;          // [N, G]; none where there are offsets
  std::span<const uint16_t> scales;        // [N, G], binary16
  std::span<const uint16_t> offsets = {};  // [N, G], binary16

  [[nodiscard]] Q4Form form() const { return offsets.empty() ? Q4Form::kZeros : Q4Form::kOffsets; }
};

// Packs N × K parts into `out` of exactly q4_packed_bytes bytes. kNonFinite, naming row and group, when a scale or offset
// is NaN or infinite: the kernels rely on finite ones.
Status pack_q4(const Q4Parts& parts, size_t n_rows, size_t n_cols, size_t group_size, std::span<std::byte> out);

// One row in float32, (q − zero) · scale with one rounding, q · scale + offset with two: embedding look-up and export.
// out has n_cols elements.
void unpack_row_q4(const Q4View& view, size_t row, float* out);

}  // namespace sutra::kernels
