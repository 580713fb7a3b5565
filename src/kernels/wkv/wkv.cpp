#include "kernels/wkv/wkv.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
extern const WkvKernels kWkv;
}
namespace simd128 {
extern const WkvKernels kWkv;
}
namespace avx2 {
extern const WkvKernels kWkv;
}
namespace avx512 {
extern const WkvKernels kWkv;
}
namespace neon {
extern const WkvKernels kWkv;
}

namespace {

constexpr Variant<const WkvKernels*> kVariants[] = {
    {Isa::kScalar, "scalar", &scalar::kWkv},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", &simd128::kWkv},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", &avx2::kWkv},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", &avx512::kWkv},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", &neon::kWkv},
#endif
};

}  // namespace

void wkv4(const Wkv4Args& args) {
  SUTRA_ASSERT(args.first_channel <= args.last_channel && args.last_channel <= args.n_channels);
  select(kVariants)->wkv4(args);
}

void wkv6(const Wkv6Args& args) {
  SUTRA_ASSERT(args.first_head <= args.last_head && args.last_head <= args.n_heads);
  select(kVariants)->wkv6(args);
}

void wkv7(const Wkv7Args& args) {
  SUTRA_ASSERT(args.first_head <= args.last_head && args.last_head <= args.n_heads);
  select(kVariants)->wkv7(args);
}

std::span<const Variant<const WkvKernels*>> wkv_variants() { return kVariants; }

}  // namespace sutra::kernels
