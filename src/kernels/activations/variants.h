// The table of activation quantisers (contract: activations.h).
#pragma once

#include "kernels/activations/activations.h"

namespace sutra::kernels {

namespace scalar {
void quantize_activations(const float* x, const Activations& out, size_t token);
}
namespace simd128 {
void quantize_activations(const float* x, const Activations& out, size_t token);
}
namespace avx2 {
void quantize_activations(const float* x, const Activations& out, size_t token);
}
namespace neon {
void quantize_activations(const float* x, const Activations& out, size_t token);
}

inline constexpr Variant<QuantizeActivationsFn> kQuantizeActivationsVariants[] = {
    {Isa::kScalar, "scalar", scalar::quantize_activations},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::quantize_activations},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::quantize_activations},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::quantize_activations},
#endif
};

}  // namespace sutra::kernels
