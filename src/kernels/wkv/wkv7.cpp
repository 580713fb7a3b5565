#include "kernels/wkv/wkv7.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void wkv7(const Wkv7Args& args);
}
namespace simd128 {
void wkv7(const Wkv7Args& args);
}
namespace avx2 {
void wkv7(const Wkv7Args& args);
}
namespace avx512 {
void wkv7(const Wkv7Args& args);
}
namespace neon {
void wkv7(const Wkv7Args& args);
}

namespace {

constexpr Variant<Wkv7Kernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::wkv7},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::wkv7},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::wkv7},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::wkv7},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::wkv7},
#endif
};

}  // namespace

void wkv7(const Wkv7Args& args) {
  SUTRA_ASSERT(args.first_head <= args.last_head && args.last_head <= args.n_heads);
  select(kVariants)(args);
}

std::span<const Variant<Wkv7Kernel>> wkv7_variants() { return kVariants; }

}  // namespace sutra::kernels
