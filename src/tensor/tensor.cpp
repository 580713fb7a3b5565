#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checked.h"
#include "base/half.h"

namespace sutra {

Shape::Shape(std::initializer_list<uint64_t> dims) {
  const auto shape = from_dims({dims.begin(), dims.size()});
  SUTRA_ASSERT(shape.has_value());
  *this = *shape;
}

Result<Shape> Shape::from_dims(std::span<const uint64_t> dims, ZeroDims zero_dims) {
  if (dims.size() > kMaxDims) {
    return fail(ErrorCode::kMalformed, "a tensor has ", dims.size(), " dimensions; at most ", kMaxDims, " are allowed");
  }
  Shape shape;
  uint64_t product = 1;
  for (const uint64_t dim : dims) {
    if (dim == 0 && zero_dims == ZeroDims::kRefuse) return fail(ErrorCode::kMalformed, "a tensor dimension is zero");
    const auto next = checked_mul(product, std::max<uint64_t>(dim, 1));
    if (!next) return fail(ErrorCode::kTooLarge, "the product of a tensor's dimensions exceeds 64 bits");
    product = *next;
    shape.dims_[shape.n_dims_++] = dim;
  }
  return shape;
}

uint64_t Shape::n_elements() const {
  uint64_t product = 1;
  for (const uint64_t dim : dims()) product *= dim;
  return product;
}

std::string Shape::to_string() const {
  std::string out = "[";
  for (size_t i = 0; i < n_dims_; ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(dims_[i]);
  }
  return out + "]";
}

bool Shape::operator==(const Shape& other) const { return std::ranges::equal(dims(), other.dims()); }

Result<uint64_t> tensor_bytes(Dtype dtype, const Shape& shape) {
  const BlockSize block = block_size(dtype);
  const uint64_t n_columns = shape.n_dims() == 0 ? 1 : shape[shape.n_dims() - 1];
  if (n_columns % block.n_elements != 0) {
    return fail(ErrorCode::kMalformed, "rows of ", n_columns, " elements are no whole blocks of ", dtype_name(dtype),
                ", which have ", block.n_elements);
  }
  const auto bytes = checked_mul(shape.n_elements() / block.n_elements, block.n_bytes);
  if (!bytes) return fail(ErrorCode::kTooLarge, "a tensor of shape ", shape.to_string(), " exceeds 64 bits of bytes");
  return *bytes;
}

Result<Tensor> Tensor::create(Dtype dtype, const Shape& shape, Contents contents) {
  SUTRA_ASSIGN(const uint64_t bytes, tensor_bytes(dtype, shape));
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = shape;
  SUTRA_ASSIGN(tensor.buffer_, AlignedBuffer::create(bytes, contents));
  return tensor;
}

Result<Tensor> Tensor::elsewhere(Dtype dtype, const Shape& shape, size_t place) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = shape;
  SUTRA_ASSIGN(tensor.buffer_, AlignedBuffer::create(sizeof place));
  std::memcpy(tensor.buffer_.data(), &place, sizeof place);
  SUTRA_ASSERT(tensor.place().has_value());
  return tensor;
}

std::optional<size_t> Tensor::place() const {
  size_t place = 0;
  const auto n_bytes = tensor_bytes(dtype_, shape_);
  if (buffer_.size() != sizeof place || !n_bytes || *n_bytes <= sizeof place) return std::nullopt;
  std::memcpy(&place, buffer_.data(), sizeof place);
  return place;
}

Status Tensor::reshape(const Shape& shape) {
  if (shape.n_elements() != shape_.n_elements()) {
    return fail(ErrorCode::kShapeMismatch, "expected ", shape.n_elements(), " elements for shape ", shape.to_string(),
                ", found shape ", shape_.to_string());
  }
  shape_ = shape;
  return {};
}

Result<Tensor> to_f32(const TensorView& source) {
  if (!is_float(source.dtype)) {
    return fail(ErrorCode::kDtypeMismatch, "expected a float tensor, found ", dtype_name(source.dtype));
  }
  SUTRA_ASSIGN(Tensor result, Tensor::create(Dtype::kF32, source.shape, Contents::kUndefined));
  const auto out = result.as<float>();
  switch (source.dtype) {
    case Dtype::kF32: std::memcpy(out.data(), source.bytes.data(), source.bytes.size()); break;
    case Dtype::kF64:
      std::ranges::transform(source.as<double>(), out.begin(), [](double v) { return static_cast<float>(v); });
      break;
    case Dtype::kF16: std::ranges::transform(source.as<uint16_t>(), out.begin(), f16_to_f32); break;
    case Dtype::kBF16: std::ranges::transform(source.as<uint16_t>(), out.begin(), bf16_to_f32); break;
    default: break;
  }
  return result;
}

}  // namespace sutra
