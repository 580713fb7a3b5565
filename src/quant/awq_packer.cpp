#include "quant/awq_packer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/checked.h"
#include "quant/awq_format.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

using kernels::kQ4BlockBytes;
using kernels::kQ4BlockColumns;
using kernels::kQ4TileRows;

// The part of a row of qweight that one tile takes: 16 outputs in two words.
constexpr size_t kTileWordsBytes = kQ4TileRows / 2;
constexpr size_t kTailBytes = kernels::q4_tail_bytes(kernels::Q4Form::kZeros);
// Tiles that share a cache line of qweight.
constexpr size_t kTilesAtATime = 8;

// The 4 × 4 bytes of the lower halves of m, and those of the upper halves, each turned about their diagonal.
void transpose_bytes(std::array<uint64_t, 4>& m) {
  const auto swap = [](uint64_t& a, uint64_t& b, unsigned shift, uint64_t mask) {
    const uint64_t t = ((a >> shift) ^ b) & mask;
    b ^= t;
    a ^= t << shift;
  };
  swap(m[0], m[1], 8, 0x00ff00ff00ff00ff);
  swap(m[2], m[3], 8, 0x00ff00ff00ff00ff);
  swap(m[0], m[2], 16, 0x0000ffff0000ffff);
  swap(m[1], m[3], 16, 0x0000ffff0000ffff);
}

// One block of the layout from eight columns, `stride` bytes apart, each two words of 16 nibbles in AWQ's order. Bytes
// of a block go output by output, four each: byte j has columns j and 4 + j. So the columns are paired first, the even
// and the odd nibbles of the words apart, and turned about afterwards.
void pack_block(const std::byte* words, size_t stride, std::byte* block) {
  constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0f;
  std::array<uint64_t, kQ4BlockColumns> columns;
  for (size_t k = 0; k < columns.size(); ++k) std::memcpy(&columns[k], words + k * stride, sizeof(uint64_t));
  std::array<uint64_t, 4> even;
  std::array<uint64_t, 4> odd;
  for (size_t j = 0; j < 4; ++j) {
    even[j] = (columns[j] & kLow) | (columns[j + 4] & kLow) << 4;
    odd[j] = (columns[j] >> 4 & kLow) | (columns[j + 4] & ~kLow);
  }
  transpose_bytes(even);  // outputs 0, 4, 1, 5 of both words
  transpose_bytes(odd);   // outputs 2, 6, 3, 7
  static_assert(kAwqOrder == std::array<size_t, 8>{0, 2, 4, 6, 1, 3, 5, 7});
  const auto low = [](uint64_t a, uint64_t b) { return (a & 0xffffffff) | b << 32; };
  const auto high = [](uint64_t a, uint64_t b) { return a >> 32 | (b & 0xffffffff00000000); };
  const std::array<uint64_t, 8> out = {low(even[0], even[2]),  low(odd[0], odd[2]),    low(even[1], even[3]),
                                       low(odd[1], odd[3]),    high(even[0], even[2]), high(odd[0], odd[2]),
                                       high(even[1], even[3]), high(odd[1], odd[3])};
  static_assert(sizeof out == kQ4BlockBytes);
  std::memcpy(block, out.data(), sizeof out);
}

// The same for eight outputs, one word a column; the outputs past them are zero.
void pack_half_block(const std::byte* words, size_t stride, std::byte* block) {
  std::array<std::byte, kQ4BlockColumns * kTileWordsBytes> whole{};
  for (size_t k = 0; k < kQ4BlockColumns; ++k) {
    std::memcpy(whole.data() + k * kTileWordsBytes, words + k * stride, kTileWordsBytes / 2);
  }
  pack_block(whole.data(), kTileWordsBytes, block);
}

// Where block `index` along a tile begins: behind the tails of the groups before its own.
size_t block_offset(size_t index, size_t group_size) {
  return index * kQ4BlockBytes + index * kQ4BlockColumns / group_size * kTailBytes;
}

}  // namespace

Result<AwqPacker> AwqPacker::create(size_t n_out, size_t n_in, size_t group_size) {
  SUTRA_ASSERT(awq_can_hold(n_out));
  AwqPacker packer;
  SUTRA_ASSIGN(packer.matrix_, Q4Matrix::create(n_out, n_in, group_size));
  SUTRA_ASSIGN(packer.slab_, AlignedBuffer::create(kQ4BlockColumns * n_out / 2, Contents::kUndefined));
  return packer;
}

void AwqPacker::write(std::span<const std::byte> bytes) {
  const std::span<std::byte> slab = slab_.bytes();
  while (!bytes.empty()) {
    if (slab_filled_ == 0 && bytes.size() >= slab.size()) {
      const size_t n_slabs = bytes.size() / slab.size();
      pack(bytes.data(), n_slabs);
      bytes = bytes.subspan(n_slabs * slab.size());
      continue;
    }
    const size_t n = std::min(bytes.size(), slab.size() - slab_filled_);
    std::memcpy(slab.data() + slab_filled_, bytes.data(), n);
    bytes = bytes.subspan(n);
    slab_filled_ += n;
    if (slab_filled_ == slab.size()) {
      pack(slab.data(), 1);
      slab_filled_ = 0;
    }
  }
}

Q4Matrix AwqPacker::finish() {
  if (slab_filled_ > 0) {
    // Columns past K are zero.
    std::ranges::fill(slab_.bytes().subspan(slab_filled_), std::byte{0});
    pack(slab_.data(), 1);
    slab_filled_ = 0;
  }
  SUTRA_ASSERT(slabs_packed_ == div_up(matrix_.n_cols(), kQ4BlockColumns));
  return std::move(matrix_);
}

void AwqPacker::pack(const std::byte* rows, size_t n_slabs) {
  SUTRA_ASSERT(n_slabs <= div_up(matrix_.n_cols(), kQ4BlockColumns) - slabs_packed_);
  const size_t row_bytes = matrix_.n_rows() / 2;
  const size_t n_tiles = row_bytes / kTileWordsBytes;
  const size_t tile_bytes = matrix_.view().tile_bytes();
  for (size_t first = 0; first < n_tiles; first += kTilesAtATime) {
    const size_t last = std::min(first + kTilesAtATime, n_tiles);
    for (size_t slab = 0; slab < n_slabs; ++slab) {
      const std::byte* const source = rows + slab * slab_.size();
      std::byte* const target = matrix_.bytes().data() + block_offset(slabs_packed_ + slab, matrix_.group_size());
      for (size_t tile = first; tile < last; ++tile) {
        pack_block(source + tile * kTileWordsBytes, row_bytes, target + tile * tile_bytes);
      }
    }
  }
  if (row_bytes % kTileWordsBytes != 0) {
    for (size_t slab = 0; slab < n_slabs; ++slab) {
      std::byte* const target = matrix_.bytes().data() + block_offset(slabs_packed_ + slab, matrix_.group_size());
      pack_half_block(rows + slab * slab_.size() + n_tiles * kTileWordsBytes, row_bytes, target + n_tiles * tile_bytes);
    }
  }
  slabs_packed_ += n_slabs;
}

Status check_awq_scales(const TensorView& scales, std::string_view name) {
  const auto element = first_non_finite(scales);
  if (!element) return {};
  const uint64_t n_out = scales.shape[1];
  return fail(ErrorCode::kNonFinite, "matrix '", name, "': the scale of row ", *element % n_out, ", group ",
              *element / n_out, " is NaN or infinite");
}

Status set_awq_groups(const TensorView& qzeros, const TensorView& scales, std::string_view name, Q4Matrix& matrix) {
  const size_t n_out = matrix.n_rows();
  SUTRA_TRY(check_awq_scales(scales, name));
  const size_t n_groups = matrix.view().n_groups();
  const size_t tile_bytes = matrix.view().tile_bytes();
  const auto zero_words = qzeros.as<uint32_t>();
  const auto halves = scales.as<uint16_t>();
  SUTRA_ASSERT(halves.size() == n_groups * n_out && zero_words.size() == halves.size() / 8);
  for (size_t group = 0; group < n_groups; ++group) {
    const size_t end_column = std::min((group + 1) * matrix.group_size(), matrix.n_cols());
    const size_t end_block = div_up(end_column, kQ4BlockColumns);
    const size_t tail_offset = end_block * kQ4BlockBytes + group * kTailBytes;
    for (size_t first = 0; first < n_out; first += kQ4TileRows) {
      const size_t n_rows = std::min(kQ4TileRows, n_out - first);
      std::byte* const tail = matrix.bytes().data() + first / kQ4TileRows * tile_bytes + tail_offset;
      // Rows past N have zero and scale 0.
      if (n_rows < kQ4TileRows) std::memset(tail, 0, kTailBytes);
      std::memcpy(tail, halves.data() + group * n_out + first, n_rows * sizeof(uint16_t));
      std::byte* const zeros = tail + kQ4TileRows * sizeof(uint16_t);
      for (size_t i = 0; i < n_rows; ++i) {
        const uint32_t word = zero_words[(group * n_out + first + i) / 8];
        zeros[i / 8 * 8 + kAwqOrder[i % 8]] = static_cast<std::byte>(word >> (4 * (i % 8)) & 15u);
      }
    }
  }
  return {};
}

}  // namespace sutra
