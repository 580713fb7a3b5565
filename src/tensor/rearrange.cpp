#include "tensor/rearrange.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"

namespace sutra {
namespace {

Shape with_rows(const Shape& shape, uint64_t n_rows) {
  std::vector<uint64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = n_rows;
  const auto changed = Shape::from_dims(dims, ZeroDims::kAllow);
  SUTRA_ASSERT(changed.has_value());  // the elements are in memory
  return *changed;
}

}  // namespace

Result<Tensor> transpose(const TensorView& source) {
  SUTRA_ASSERT(source.shape.n_dims() >= 2 && !is_block(source.dtype));
  std::vector<uint64_t> dims(source.shape.dims().begin(), source.shape.dims().end());
  const auto n_rows = static_cast<size_t>(dims[dims.size() - 2]), n_cols = static_cast<size_t>(dims.back());
  std::swap(dims[dims.size() - 2], dims.back());
  SUTRA_ASSIGN(const Shape shape, Shape::from_dims(dims, ZeroDims::kAllow));
  SUTRA_ASSIGN(Tensor out, Tensor::create(source.dtype, shape, Contents::kUndefined));
  const size_t element_bytes = dtype_bytes(source.dtype), plane_bytes = n_rows * n_cols * element_bytes;
  for (size_t plane = 0; plane < source.bytes.size(); plane += plane_bytes) {
    const std::byte* const from = source.bytes.data() + plane;
    std::byte* const to = out.bytes().data() + plane;
    for (size_t row = 0; row < n_rows; ++row) {
      for (size_t col = 0; col < n_cols; ++col) {
        std::memcpy(to + (col * n_rows + row) * element_bytes, from + (row * n_cols + col) * element_bytes,
                    element_bytes);
      }
    }
  }
  return out;
}

Result<Tensor> gather_rows(const TensorView& source, std::span<const uint64_t> rows) {
  SUTRA_ASSERT(source.shape.n_dims() >= (is_block(source.dtype) ? 2u : 1u) && source.shape[0] > 0);
  const size_t row_bytes = source.bytes.size() / static_cast<size_t>(source.shape[0]);
  SUTRA_ASSIGN(Tensor out, Tensor::create(source.dtype, with_rows(source.shape, rows.size()), Contents::kUndefined));
  std::byte* to = out.bytes().data();
  for (const uint64_t row : rows) {
    SUTRA_ASSERT(row < source.shape[0]);
    std::memcpy(to, source.bytes.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
    to += row_bytes;
  }
  return out;
}

Result<Tensor> part_of(const TensorView& source, size_t index, const Shape& shape) {
  SUTRA_ASSIGN(Tensor out, Tensor::create(source.dtype, shape, Contents::kUndefined));
  const size_t n_bytes = out.bytes().size();
  SUTRA_ASSERT((index + 1) * n_bytes <= source.bytes.size());
  std::ranges::copy(source.bytes.subspan(index * n_bytes, n_bytes), out.bytes().begin());
  return out;
}

Result<Tensor> stack_rows(const TensorView& first, const TensorView& second) {
  SUTRA_ASSERT(first.shape.n_dims() >= 1);
  if (first.dtype != second.dtype) {
    return fail(ErrorCode::kDtypeMismatch, "rows in ", dtype_name(first.dtype), " and in ", dtype_name(second.dtype),
                " do not make one matrix");
  }
  if (!std::ranges::equal(first.shape.dims().subspan(1), second.shape.dims().subspan(1))) {
    return fail(ErrorCode::kShapeMismatch, "rows of shapes ", first.shape.to_string(), " and ",
                second.shape.to_string(), " do not make one matrix");
  }
  SUTRA_ASSIGN(Tensor out, Tensor::create(first.dtype, with_rows(first.shape, first.shape[0] + second.shape[0]),
                                          Contents::kUndefined));
  std::ranges::copy(first.bytes, out.bytes().begin());
  std::ranges::copy(second.bytes, out.bytes().begin() + static_cast<std::ptrdiff_t>(first.bytes.size()));
  return out;
}

}  // namespace sutra
