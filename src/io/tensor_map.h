// Owned tensors by name: what a loader fills and a model empties.
//
// The weights contract: a model gets a tensor only by stating its dtype and shape, so the list of take() calls
// is the documentation of a checkpoint's shapes and a mismatch is an error with both values.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace sutra {

// The dtypes that a place accepts.
class DtypeSet {
 public:
  constexpr DtypeSet(std::initializer_list<Dtype> dtypes) {
    for (const Dtype dtype : dtypes) bits_ |= 1u << static_cast<unsigned>(dtype);
  }
  [[nodiscard]] constexpr bool contains(Dtype dtype) const { return (bits_ >> static_cast<unsigned>(dtype) & 1u) != 0; }
  [[nodiscard]] std::string to_string() const;  // "F64, F32, F16 or BF16"

 private:
  unsigned bits_ = 0;
};

inline constexpr DtypeSet kAnyFloat = {Dtype::kF64, Dtype::kF32, Dtype::kF16, Dtype::kBF16};

class TensorMap {
 public:
  // kMalformed when the name is there already: two shards, or two files, give the same tensor.
  Status insert(std::string name, Tensor tensor);

  [[nodiscard]] bool contains(std::string_view name) const { return tensors_.contains(name); }
  // Null when there is none. Valid until the tensor is taken.
  [[nodiscard]] const Tensor* find(std::string_view name) const;

  // Moves the tensor out; afterwards the map does not know it. kNotFound names it.
  Result<Tensor> take(std::string_view name);
  // The same for a stated place: kDtypeMismatch and kShapeMismatch name the tensor, what was expected and
  // what was found; the tensor then stays in the map.
  Result<Tensor> take(std::string_view name, DtypeSet dtypes, const Shape& shape);
  Result<Tensor> take(std::string_view name, Dtype dtype, const Shape& shape);
  // Nothing happens where there is none.
  void drop(std::string_view name);

  [[nodiscard]] size_t size() const { return tensors_.size(); }
  // Bytes of all tensors in the map.
  [[nodiscard]] uint64_t n_bytes() const;
  // Names still in the map, sorted: what a model has not taken.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace sutra
