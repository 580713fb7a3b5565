#include "kernels/ssd/ssd.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void ssd(const SsdArgs& args);
}
namespace simd128 {
void ssd(const SsdArgs& args);
}
namespace avx2 {
void ssd(const SsdArgs& args);
}
namespace avx512 {
void ssd(const SsdArgs& args);
}
namespace neon {
void ssd(const SsdArgs& args);
}

namespace {

constexpr Variant<SsdKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::ssd},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::ssd},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::ssd},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::ssd},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::ssd},
#endif
};

}  // namespace

void ssd(const SsdArgs& args) {
  SUTRA_ASSERT(args.first_head <= args.last_head && args.last_head <= args.n_heads);
  SUTRA_ASSERT(args.n_groups > 0 && args.n_heads % args.n_groups == 0);
  select(kVariants)(args);
}

std::span<const Variant<SsdKernel>> ssd_variants() { return kVariants; }

}  // namespace sutra::kernels
