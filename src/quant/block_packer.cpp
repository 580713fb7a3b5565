#include "quant/block_packer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "quant/ggml_blocks.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

using kernels::kQ4BlockBytes;
using kernels::kQ4GroupTailBytes;
using kernels::kQ4TileRows;
static_assert(kQ4TileRows == kernels::Q8View::kTileRows);

constexpr BlockSize kQ4_0 = block_size(Dtype::kQ4_0);
constexpr size_t kQ4_0Group = kQ4_0.n_elements;
constexpr std::byte kQ4_0Zero{8};

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

std::unexpected<Error> non_finite(size_t row) {
  return fail(ErrorCode::kNonFinite, "row ", row, " has NaN or infinity");
}

}  // namespace

Result<uint64_t> BlockPacker::packed_bytes(Dtype dtype, uint64_t n_rows, uint64_t n_cols) {
  if (dtype == Dtype::kQ4_0) return kernels::q4_packed_bytes(n_rows, n_cols, kQ4_0Group);
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
  if (dtype == Dtype::kQ4_0) {
    SUTRA_ASSIGN(packer.matrix_, Q4Matrix::create(n_rows, n_cols, kQ4_0Group));
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
  SUTRA_TRY(dtype_ == Dtype::kQ4_0 ? pack_q4_0(rows, n_rows) : pack_q8(rows, n_rows));
  n_packed_ += n_rows;
  return {};
}

Status BlockPacker::pack_q4_0(std::span<const std::byte> rows, size_t n_rows) {
  auto& matrix = std::get<Q4Matrix>(matrix_);
  const size_t tile_bytes = matrix.view().tile_bytes();
  std::byte* const tile = matrix.bytes().data() + n_packed_ / kQ4TileRows * tile_bytes;
  // Rows past N have zero and scale 0.
  if (n_rows < kQ4TileRows) std::memset(tile, 0, tile_bytes);
  constexpr size_t kNibbleBytes = kQ4_0Group / kernels::kQ4BlockColumns * kQ4BlockBytes;
  for (size_t row = 0; row < n_rows; ++row) {
    const std::byte* block = rows.data() + row * row_bytes_;
    for (std::byte* group = tile; group < tile + tile_bytes; group += kNibbleBytes + kQ4GroupTailBytes) {
      uint16_t scale = 0;
      std::memcpy(&scale, block, sizeof scale);
      if ((scale & 0x7c00u) == 0x7c00u) return non_finite(n_packed_ + row);
      pack_row_of_group(block + sizeof scale, row, group);
      std::memcpy(group + kNibbleBytes + row * sizeof scale, &scale, sizeof scale);
      group[kNibbleBytes + kQ4TileRows * sizeof scale + row] = kQ4_0Zero;
      block += kQ4_0.n_bytes;
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
