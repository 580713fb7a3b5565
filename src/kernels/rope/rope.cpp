#include "kernels/rope/rope.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void rope(const RopeArgs& args);
}
namespace simd128 {
void rope(const RopeArgs& args);
}
namespace avx2 {
void rope(const RopeArgs& args);
}
namespace avx512 {
void rope(const RopeArgs& args);
}
namespace neon {
void rope(const RopeArgs& args);
}

namespace {

constexpr Variant<RopeKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::rope},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::rope},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::rope},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::rope},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::rope},
#endif
};

}  // namespace

void rope(const RopeArgs& args) {
  SUTRA_ASSERT(args.rotary_dim % 2 == 0 && args.rotary_dim <= args.head_dim);
  select(kVariants)(args);
}

std::span<const Variant<RopeKernel>> rope_variants() { return kVariants; }

}  // namespace sutra::kernels
