// This family's part of kernels/self_test.h. The table is a parameter so that a test can pass a wrong one.
#pragma once

#include <span>

#include "kernels/gemm_q8/variants.h"

namespace sutra::kernels {

Status self_test_gemm_q8(std::span<const Variant<GemmQ8Fn>> variants);

}  // namespace sutra::kernels
