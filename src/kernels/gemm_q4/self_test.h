// This family's part of kernels/self_test.h. The table is a parameter so that a test can pass a wrong one.
#pragma once

#include <span>

#include "kernels/gemm_q4/variants.h"

namespace sutra::kernels {

Status self_test_gemm_q4(std::span<const Variant<GemmQ4Fn>> variants);

}  // namespace sutra::kernels
