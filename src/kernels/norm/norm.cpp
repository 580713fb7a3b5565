#include "kernels/norm/norm.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
extern const NormKernels kNorm;
}
namespace simd128 {
extern const NormKernels kNorm;
}
namespace avx2 {
extern const NormKernels kNorm;
}
namespace avx512 {
extern const NormKernels kNorm;
}
namespace neon {
extern const NormKernels kNorm;
}

namespace {

constexpr Variant<const NormKernels*> kVariants[] = {
    {Isa::kScalar, "scalar", &scalar::kNorm},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", &simd128::kNorm},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", &avx2::kNorm},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", &avx512::kNorm},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", &neon::kNorm},
#endif
};

}  // namespace

void layer_norm(const LayerNormArgs& args) {
  SUTRA_ASSERT(args.n_channels > 0);
  select(kVariants)->layer_norm(args);
}

void rms_norm(const RmsNormArgs& args) {
  SUTRA_ASSERT(args.n_channels > 0);
  select(kVariants)->rms_norm(args);
}

void group_norm(const GroupNormArgs& args) {
  SUTRA_ASSERT(args.head_size > 0);
  select(kVariants)->group_norm(args);
}

void l2_normalize(const L2NormalizeArgs& args) {
  SUTRA_ASSERT(args.head_size > 0);
  select(kVariants)->l2_normalize(args);
}

std::span<const Variant<const NormKernels*>> norm_variants() { return kVariants; }

}  // namespace sutra::kernels
