#include "kernels/gemm_f/gemm_f.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void gemm_f(const GemmFArgs& args);
}
namespace simd128 {
void gemm_f(const GemmFArgs& args);
}
namespace avx2 {
void gemm_f(const GemmFArgs& args);
}
namespace avx512 {
void gemm_f(const GemmFArgs& args);
}
namespace neon {
void gemm_f(const GemmFArgs& args);
}

namespace {

constexpr Variant<GemmFKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::gemm_f},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::gemm_f},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::gemm_f},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::gemm_f},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::gemm_f},
#endif
};

}  // namespace

void gemm_f(const GemmFArgs& args) {
  SUTRA_ASSERT(args.w.dtype == Dtype::kF32 || args.w.dtype == Dtype::kF16 || args.w.dtype == Dtype::kBF16);
  SUTRA_ASSERT(args.first_row <= args.last_row && args.last_row <= args.w.n_rows && args.w.n_rows <= args.y_stride);
  select(kVariants)(args);
}

std::span<const Variant<GemmFKernel>> gemm_f_variants() { return kVariants; }

}  // namespace sutra::kernels
