// Shapes, non-owning views and owning tensors: row-major, dense.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "tensor/dtype.h"

namespace sutra {

// Whether a shape from a file may have a dimension of zero, which makes a tensor of no bytes.
enum class ZeroDims : uint8_t { kRefuse, kAllow };

// Up to eight dimensions, outermost first; zero dimensions is a scalar of one element.
class Shape {
 public:
  static constexpr size_t kMaxDims = 8;

  Shape() = default;
  Shape(std::initializer_list<uint64_t> dims);
  // For dimensions from a file: kMalformed over eight dimensions or at a zero, kTooLarge when the product wraps
  // (of the dimensions that are not zero, so that no order of multiplying them can).
  static Result<Shape> from_dims(std::span<const uint64_t> dims, ZeroDims zero_dims = ZeroDims::kRefuse);

  [[nodiscard]] size_t n_dims() const { return n_dims_; }
  [[nodiscard]] uint64_t operator[](size_t i) const { return dims_[i]; }
  [[nodiscard]] std::span<const uint64_t> dims() const { return {dims_.data(), n_dims_}; }
  // Product of the dimensions; cannot wrap, the constructors checked it.
  [[nodiscard]] uint64_t n_elements() const;
  [[nodiscard]] std::string to_string() const;  // "[4, 384]"
  bool operator==(const Shape& other) const;

 private:
  std::array<uint64_t, kMaxDims> dims_{};
  size_t n_dims_ = 0;
};

// Bytes of a dense tensor; kTooLarge when the product wraps, kMalformed when a row does not end with a block's end.
Result<uint64_t> tensor_bytes(Dtype dtype, const Shape& shape);

// What a consumer may look at; whoever made it keeps the bytes alive.
struct TensorView {
  Dtype dtype = Dtype::kF32;
  Shape shape;
  std::span<const std::byte> bytes;

  // The elements as T; sizeof(T) must be the dtype's.
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

class Tensor {
 public:
  Tensor() = default;
  static Result<Tensor> create(Dtype dtype, const Shape& shape, Contents contents = Contents::kZero);
  // One whose elements lie elsewhere: at `place`, which whoever made it understands. It has more than eight bytes; those that
  // are here are not its own.
  static Result<Tensor> elsewhere(Dtype dtype, const Shape& shape, size_t place);

  [[nodiscard]] Dtype dtype() const { return dtype_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::span<std::byte> bytes() { return buffer_.bytes(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return buffer_.bytes(); }
  [[nodiscard]] TensorView view() const { return {dtype_, shape_, buffer_.bytes()}; }
  template <class T>
  [[nodiscard]] std::span<T> as() {
    return buffer_.as<T>();
  }
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return buffer_.as<T>();
  }
  [[nodiscard]] std::optional<size_t> place() const;
  // The same elements under another shape of as many; kShapeMismatch otherwise.
  Status reshape(const Shape& shape);

 private:
  Dtype dtype_ = Dtype::kF32;
  Shape shape_;
  AlignedBuffer buffer_;
};

// A float tensor (F64, F32, F16, BF16) widened or narrowed to F32; kDtypeMismatch for integers.
Result<Tensor> to_f32(const TensorView& source);

}  // namespace sutra
