// This family's part of kernels/self_test.h. The table is a parameter so that a test can pass a wrong one.
#pragma once

#include <span>

#include "kernels/activations/variants.h"

namespace sutra::kernels {

Status self_test_quantize_activations(std::span<const Variant<QuantizeActivationsFn>> variants);

}  // namespace sutra::kernels
