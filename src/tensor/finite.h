// NaN and infinity in a float tensor, at the speed of reading it.
#pragma once

#include <cstdint>
#include <optional>

#include "tensor/tensor.h"

namespace sutra {

// Index of the first element that is NaN or infinite; nothing for a finite tensor and for integers.
std::optional<uint64_t> first_non_finite(const TensorView& tensor);

}  // namespace sutra
