// Names of tensors that belong to a layer: a prefix, the layer's number, a dot and the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quant/weight_map.h"

namespace sutra {

// The number after `prefix`; `name` becomes what follows its dot. Of other names nothing, and they stay.
std::optional<uint32_t> take_layer(std::string_view prefix, std::string_view& name);

// One more than the largest number of a layer; 0 where no name has the prefix.
uint32_t count_layers(const WeightMap& weights, std::string_view prefix);

// Dimensions of a tensor that says something about the whole model. kNotFound, kShapeMismatch.
Result<std::span<const uint64_t>> dims_of(const WeightMap& weights, std::string_view name, size_t n_dims);

}  // namespace sutra
