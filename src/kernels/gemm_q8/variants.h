// The table of 8-bit products (contract: gemm_q8.h).
#pragma once

#include "kernels/gemm_q8/gemm_q8.h"

namespace sutra::kernels {

namespace scalar {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace simd128 {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace relaxed {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace avx2 {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace avx512 {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}
namespace neon {
void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride);
}

inline constexpr Variant<GemmQ8Fn> kGemmQ8Variants[] = {
    {Isa::kScalar, "scalar", scalar::gemm_q8},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::gemm_q8},
#endif
#if SUTRA_HAVE_WASM_RELAXED
    {Isa::kRelaxed, "relaxed", relaxed::gemm_q8},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::gemm_q8},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::gemm_q8},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::gemm_q8},
#endif
};

}  // namespace sutra::kernels
