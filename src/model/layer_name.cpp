#include "model/layer_name.h"

#include <algorithm>
#include <charconv>

namespace sutra {

std::optional<uint32_t> take_layer(std::string_view prefix, std::string_view& name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view number = name.substr(prefix.size());
  uint32_t layer = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), layer);
  const auto n_digits = static_cast<size_t>(end - number.data());
  if (error != std::errc() || n_digits == number.size() || number[n_digits] != '.') return std::nullopt;
  name = number.substr(n_digits + 1);
  return layer;
}

uint32_t count_layers(const WeightMap& weights, std::string_view prefix) {
  uint32_t n_layer = 0;
  for (const std::string& name : weights.names()) {
    std::string_view rest = name;
    if (const auto layer = take_layer(prefix, rest)) n_layer = std::max(n_layer, *layer + 1);
  }
  return n_layer;
}

Result<std::span<const uint64_t>> dims_of(const WeightMap& weights, std::string_view name, size_t n_dims) {
  const Tensor* const tensor = weights.find(name);
  if (tensor == nullptr) return fail(ErrorCode::kNotFound, "tensor '", name, "' is missing");
  if (tensor->shape().n_dims() != n_dims) {
    return wrong_shape(name, concat(n_dims, " dimensions"), tensor->shape());
  }
  return tensor->shape().dims();
}

}  // namespace sutra
