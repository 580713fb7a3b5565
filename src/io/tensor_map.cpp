#include "io/tensor_map.h"

#include <utility>

namespace sutra {

std::string DtypeSet::to_string() const {
  std::vector<std::string_view> names;
  for (unsigned i = 0; i <= static_cast<unsigned>(kLastDtype); ++i) {
    if (contains(static_cast<Dtype>(i))) names.push_back(dtype_name(static_cast<Dtype>(i)));
  }
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += names[i];
  }
  return out;
}

Status TensorMap::insert(std::string name, Tensor tensor) {
  const auto [place, added] = tensors_.try_emplace(std::move(name), std::move(tensor));
  if (!added) return fail(ErrorCode::kMalformed, "tensor '", printable(place->first), "' is there twice");
  return {};
}

const Tensor* TensorMap::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Result<Tensor> TensorMap::take(std::string_view name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return fail(ErrorCode::kNotFound, "tensor '", printable(name), "' is missing");
  Tensor tensor = std::move(found->second);
  tensors_.erase(found);
  return tensor;
}

void TensorMap::drop(std::string_view name) {
  if (const auto found = tensors_.find(name); found != tensors_.end()) tensors_.erase(found);
}

Result<Tensor> TensorMap::take(std::string_view name, DtypeSet dtypes, const Shape& shape) {
  if (const Tensor* const tensor = find(name)) {
    if (tensor->shape() != shape) {
      return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "': expected shape ", shape.to_string(),
                  ", found ", tensor->shape().to_string());
    }
    if (!dtypes.contains(tensor->dtype())) {
      return fail(ErrorCode::kDtypeMismatch, "tensor '", printable(name), "': expected ", dtypes.to_string(),
                  ", found ", dtype_name(tensor->dtype()));
    }
  }
  return take(name);
}

Result<Tensor> TensorMap::take(std::string_view name, Dtype dtype, const Shape& shape) {
  return take(name, DtypeSet{dtype}, shape);
}

uint64_t TensorMap::n_bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.bytes().size();
  return sum;
}

std::vector<std::string> TensorMap::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

}  // namespace sutra
