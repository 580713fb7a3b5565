#include "kernels/conv1d/conv1d.h"

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void conv1d(const Conv1dArgs& args);
}
namespace simd128 {
void conv1d(const Conv1dArgs& args);
}
namespace avx2 {
void conv1d(const Conv1dArgs& args);
}
namespace avx512 {
void conv1d(const Conv1dArgs& args);
}
namespace neon {
void conv1d(const Conv1dArgs& args);
}

namespace {

constexpr Variant<Conv1dKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::conv1d},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::conv1d},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::conv1d},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::conv1d},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::conv1d},
#endif
};

}  // namespace

void conv1d(const Conv1dArgs& args) {
  SUTRA_ASSERT(args.first_channel <= args.last_channel && args.last_channel <= args.n_channels);
  SUTRA_ASSERT(args.n_taps > 0 && args.x_stride >= args.n_channels);
  select(kVariants)(args);
}

std::span<const Variant<Conv1dKernel>> conv1d_variants() { return kVariants; }

}  // namespace sutra::kernels
