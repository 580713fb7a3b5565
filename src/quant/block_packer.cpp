#include "quant/block_packer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "base/half.h"
#include "quant/ggml_blocks.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

using kernels::kQ4BlockBytes;
using kernels::kQ4ScaleBytes;
using kernels::kQ4TileRows;
using kernels::Q4Form;
static_assert(kQ4TileRows == kernels::Q8View::kTileRows);

constexpr size_t kGroupSize = 32;
constexpr size_t kNibbleBytes = kGroupSize / kernels::kQ4BlockColumns * kQ4BlockBytes;
constexpr std::byte kQ4_0Zero{8};

// The form of the 4-bit matrix that these blocks become; none for those that become 8 bits.
constexpr std::optional<Q4Form> q4_form(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ4_0: return Q4Form::kZeros;
    case Dtype::kQ4_1:
    case Dtype::kQ4_K: return Q4Form::kOffsets;
    default: return std::nullopt;
  }
}

uint32_t word_at(const std::byte* bytes) {
  uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// One row's group of 32 columns into the four blocks of the kernels' layout that hold it: a word has columns k + j in
// its low and k + 4 + j in its high nibbles. Columns 0 to 15 are the low nibbles of `nibbles`, 16 to 31 the high ones.
void pack_row_of_group(const std::byte* nibbles, size_t row, std::byte* blocks) {
  constexpr uint32_t kLow = 0x0f0f0f0f;
  for (size_t half = 0; half < 2; ++half) {
    const uint32_t first = word_at(nibbles + 8 * half), second = word_at(nibbles + 8 * half + 4);
    const uint32_t low = (first & kLow) | (second & kLow) << 4;
    const uint32_t high = (first >> 4 & kLow) | (second & ~kLow);
    std::memcpy(blocks + half * kQ4BlockBytes + row * sizeof low, &low, sizeof low);
    std::memcpy(blocks + (half + 2) * kQ4BlockBytes + row * sizeof high, &high, sizeof high);
  }
}

uint16_t half_at(const std::byte* at) {
  uint16_t half = 0;
  std::memcpy(&half, at, sizeof half);
  return half;
}

void set_half(uint16_t half, size_t row, std::byte* to) { std::memcpy(to + row * sizeof half, &half, sizeof half); }

// One row's Q4_0 or Q4_1 block into a group of a tile; false for a scale or offset that is not finite.
bool pack_block_of_32(Dtype dtype, const std::byte* block, size_t row, std::byte* group) {
  std::byte* const tail = group + kNibbleBytes;
  const uint16_t scale = half_at(block);
  set_half(scale, row, tail);
  if (dtype == Dtype::kQ4_0) {
    tail[kQ4ScaleBytes + row] = kQ4_0Zero;
    pack_row_of_group(block + sizeof scale, row, group);
    return f16_is_finite(scale);
  }
  const uint16_t offset = half_at(block + sizeof scale);
  set_half(offset, row, tail + kQ4ScaleBytes);
  pack_row_of_group(block + 2 * sizeof scale, row, group);
  return f16_is_finite(scale) && f16_is_finite(offset);
}

// One row's Q4_K block into eight groups of a tile, group_bytes apart; false for a scale or offset that is not finite
// in binary16.
bool pack_q4_k(const std::byte* block, size_t row, size_t group_bytes, std::byte* groups) {
  constexpr std::byte kLow{0x0f};
  for (size_t run = 0; run < kQ4KRuns; ++run) {
    std::byte* const group = groups + run * group_bytes;
    std::byte* const tail = group + kNibbleBytes;
    const Q4KRun part = q4_k_run(block, run);
    const uint16_t scale = f32_to_f16(part.scale), offset = f32_to_f16(-part.min);
    if (!f16_is_finite(scale) || !f16_is_finite(offset)) return false;
    set_half(scale, row, tail);
    set_half(offset, row, tail + kQ4ScaleBytes);
    // As Q4_0 has them: byte i has elements i and i + 16.
    std::byte nibbles[kGroupSize / 2];
    for (size_t i = 0; i < sizeof nibbles; ++i) {
      const std::byte first = part.bytes[i], second = part.bytes[i + sizeof nibbles];
      nibbles[i] = run % 2 == 0 ? (first & kLow) | second << 4 : first >> 4 | (second & ~kLow);
    }
    pack_row_of_group(nibbles, row, group);
  }
  return true;
}

std::unexpected<Error> non_finite(size_t row) {
  return fail(ErrorCode::kNonFinite, "row ", row, " has NaN or infinity");
}

}  // namespace

Result<uint64_t> BlockPacker::packed_bytes(Dtype dtype, uint64_t n_rows, uint64_t n_cols) {
  if (const auto form = q4_form(dtype)) return kernels::q4_packed_bytes(n_rows, n_cols, kGroupSize, *form);
  return kernels::q8_packed_bytes(n_rows, n_cols);
}

Result<BlockPacker> BlockPacker::create(Dtype dtype, size_t n_rows, size_t n_cols) {
  const BlockSize block = block_size(dtype);
  SUTRA_ASSERT(is_block(dtype) && n_cols % block.n_elements == 0);
  BlockPacker packer;
  packer.dtype_ = dtype;
  packer.n_rows_ = n_rows;
  packer.n_cols_ = n_cols;
  packer.row_bytes_ = n_cols / block.n_elements * block.n_bytes;
  if (const auto form = q4_form(dtype)) {
    SUTRA_ASSIGN(packer.matrix_, Q4Matrix::create(n_rows, n_cols, kGroupSize, *form));
  } else {
    SUTRA_ASSIGN(packer.matrix_, Q8Matrix::create(n_rows, n_cols));
    SUTRA_ASSIGN(packer.wide_,
                 AlignedBuffer::create(uint64_t{kQ4TileRows} * n_cols * sizeof(float), Contents::kUndefined));
  }
  SUTRA_ASSIGN(packer.tile_, AlignedBuffer::create(uint64_t{kQ4TileRows} * packer.row_bytes_, Contents::kUndefined));
  return packer;
}

Status BlockPacker::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    // The last tile may have fewer rows than the others.
    const size_t tile_bytes = std::min(kQ4TileRows, n_rows_ - n_packed_) * row_bytes_;
    SUTRA_ASSERT(tile_bytes > 0);
    if (tile_filled_ == 0 && bytes.size() >= tile_bytes) {
      SUTRA_TRY(pack(bytes.first(tile_bytes)));
      bytes = bytes.subspan(tile_bytes);
      continue;
    }
    const size_t n = std::min(bytes.size(), tile_bytes - tile_filled_);
    std::memcpy(tile_.data() + tile_filled_, bytes.data(), n);
    bytes = bytes.subspan(n);
    tile_filled_ += n;
    if (tile_filled_ == tile_bytes) {
      SUTRA_TRY(pack(tile_.bytes().first(tile_bytes)));
      tile_filled_ = 0;
    }
  }
  return {};
}

BlockPacker::Matrix BlockPacker::finish() {
  SUTRA_ASSERT(n_packed_ == n_rows_);
  return std::move(matrix_);
}

Status BlockPacker::pack(std::span<const std::byte> rows) {
  const size_t n_rows = rows.size() / row_bytes_;
  SUTRA_TRY(q4_form(dtype_) ? pack_q4(rows, n_rows) : pack_q8(rows, n_rows));
  n_packed_ += n_rows;
  return {};
}

Status BlockPacker::pack_q4(std::span<const std::byte> rows, size_t n_rows) {
  auto& matrix = std::get<Q4Matrix>(matrix_);
  const size_t tile_bytes = matrix.view().tile_bytes();
  const size_t group_bytes = kNibbleBytes + matrix.view().tail_bytes();
  const BlockSize block = block_size(dtype_);
  const size_t groups_of_block = block.n_elements / kGroupSize;
  std::byte* const tile = matrix.bytes().data() + n_packed_ / kQ4TileRows * tile_bytes;
  // Rows past N are zero.
  if (n_rows < kQ4TileRows) std::memset(tile, 0, tile_bytes);
  for (size_t row = 0; row < n_rows; ++row) {
    const std::byte* at = rows.data() + row * row_bytes_;
    for (std::byte* group = tile; group < tile + tile_bytes; group += groups_of_block * group_bytes) {
      const bool is_finite =
          dtype_ == Dtype::kQ4_K ? pack_q4_k(at, row, group_bytes, group) : pack_block_of_32(dtype_, at, row, group);
      if (!is_finite) return non_finite(n_packed_ + row);
      at += block.n_bytes;
    }
  }
  return {};
}

Status BlockPacker::pack_q8(std::span<const std::byte> rows, size_t n_rows) {
  auto& matrix = std::get<Q8Matrix>(matrix_);
  const size_t tile_bytes = matrix.view().tile_bytes();
  const auto wide = wide_.as<float>().first(n_rows * n_cols_);
  dequantize_blocks(dtype_, rows, wide);
  if (const auto element = first_non_finite({Dtype::kF32, {wide.size()}, std::as_bytes(wide)})) {
    return non_finite(n_packed_ + static_cast<size_t>(*element) / n_cols_);
  }
  kernels::quantize_q8(wide, n_rows, n_cols_, matrix.bytes().subspan(n_packed_ / kQ4TileRows * tile_bytes, tile_bytes));
  return {};
}

Result<BlockPacker::Matrix> pack_blocks(const TensorView& matrix) {
  SUTRA_ASSERT(matrix.shape.n_dims() == 2);
  SUTRA_ASSIGN(BlockPacker packer, BlockPacker::create(matrix.dtype, static_cast<size_t>(matrix.shape[0]),
                                                       static_cast<size_t>(matrix.shape[1])));
  SUTRA_TRY(packer.write(matrix.bytes));
  return packer.finish();
}

}  // namespace sutra
