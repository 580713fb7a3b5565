// The table of 4-bit products (contract: gemm_q4.h).
#pragma once

#include "kernels/gemm_q4/gemm_q4.h"

namespace sutra::kernels {

namespace scalar {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace simd128 {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace relaxed_pairs {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace relaxed {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace avx2 {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace avx512 {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace neon {
void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}

inline constexpr Variant<GemmQ4Fn> kGemmQ4Variants[] = {
    {Isa::kScalar, "scalar", scalar::gemm_q4},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::gemm_q4},
#endif
#if SUTRA_HAVE_WASM_RELAXED
    {Isa::kRelaxedPairs, "relaxed-pairs", relaxed_pairs::gemm_q4},
    {Isa::kRelaxed, "relaxed", relaxed::gemm_q4},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::gemm_q4},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::gemm_q4},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::gemm_q4},
#endif
};

}  // namespace sutra::kernels
