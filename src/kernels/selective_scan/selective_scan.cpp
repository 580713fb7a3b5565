#include "kernels/selective_scan/selective_scan.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void selective_scan(const SelectiveScanArgs& args);
}
namespace simd128 {
void selective_scan(const SelectiveScanArgs& args);
}
namespace avx2 {
void selective_scan(const SelectiveScanArgs& args);
}
namespace avx512 {
void selective_scan(const SelectiveScanArgs& args);
}
namespace neon {
void selective_scan(const SelectiveScanArgs& args);
}

namespace {

constexpr Variant<SelectiveScanKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::selective_scan},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::selective_scan},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::selective_scan},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::selective_scan},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::selective_scan},
#endif
};

}  // namespace

void selective_scan(const SelectiveScanArgs& args) {
  SUTRA_ASSERT(args.first_channel <= args.last_channel && args.last_channel <= args.n_channels);
  SUTRA_ASSERT(args.bc_stride >= args.n_state);
  SUTRA_ASSERT(args.z == nullptr || args.z_stride >= args.n_channels);
  select(kVariants)(args);
}

std::span<const Variant<SelectiveScanKernel>> selective_scan_variants() { return kVariants; }

}  // namespace sutra::kernels
