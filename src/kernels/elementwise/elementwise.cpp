#include "kernels/elementwise/elementwise.h"

namespace sutra::kernels {

namespace scalar {
extern const ElementwiseKernels kElementwise;
}
namespace simd128 {
extern const ElementwiseKernels kElementwise;
}
namespace avx2 {
extern const ElementwiseKernels kElementwise;
}
namespace avx512 {
extern const ElementwiseKernels kElementwise;
}
namespace neon {
extern const ElementwiseKernels kElementwise;
}

namespace {

constexpr Variant<const ElementwiseKernels*> kVariants[] = {
    {Isa::kScalar, "scalar", &scalar::kElementwise},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", &simd128::kElementwise},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", &avx2::kElementwise},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", &avx512::kElementwise},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", &neon::kElementwise},
#endif
};

}  // namespace

void exp(const float* x, size_t n, float* y) { select(kVariants)->exp(x, n, y); }
void sigmoid(const float* x, size_t n, float* y) { select(kVariants)->sigmoid(x, n, y); }
void tanh(const float* x, size_t n, float* y) { select(kVariants)->tanh(x, n, y); }
void softplus(const float* x, size_t n, float* y) { select(kVariants)->softplus(x, n, y); }
void silu(const float* x, size_t n, float* y) { select(kVariants)->silu(x, n, y); }
void relu_squared(const float* x, size_t n, float* y) { select(kVariants)->relu_squared(x, n, y); }

void add(const float* a, const float* b, size_t n, float* y) { select(kVariants)->add(a, b, n, y); }
void mul(const float* a, const float* b, size_t n, float* y) { select(kVariants)->mul(a, b, n, y); }
void mul_silu(const float* a, const float* z, size_t n, float* y) { select(kVariants)->mul_silu(a, z, n, y); }

void scale(const float* x, float factor, size_t n, float* y) { select(kVariants)->scale(x, factor, n, y); }
void add_scaled(const float* a, const float* b, float factor, size_t n, float* y) {
  select(kVariants)->add_scaled(a, b, factor, n, y);
}

void add_bias(const float* x, const float* bias, size_t n_tokens, size_t n_channels, float* y) {
  select(kVariants)->add_bias(x, bias, n_tokens, n_channels, y);
}

void token_shift_lerp(const TokenShiftLerpArgs& args) { select(kVariants)->token_shift_lerp(args); }

void token_shift_ddlerp(const TokenShiftDdlerpArgs& args) { select(kVariants)->token_shift_ddlerp(args); }

void rwkv6_decay(const float* w_raw, size_t n, float* w) { select(kVariants)->rwkv6_decay(w_raw, n, w); }

void rwkv7_decay(const float* w_raw, size_t n, float* w) { select(kVariants)->rwkv7_decay(w_raw, n, w); }

void rwkv7_replacement_key(const float* k, const float* a, const float* k_a, size_t n_tokens, size_t n_channels,
                           float* y) {
  select(kVariants)->rwkv7_replacement_key(k, a, k_a, n_tokens, n_channels, y);
}

void rwkv7_value_residual(const float* v, const float* v_first, const float* v_raw, size_t n, float* y) {
  select(kVariants)->rwkv7_value_residual(v, v_first, v_raw, n, y);
}

void rwkv7_add_bonus(const Rwkv7BonusArgs& args) { select(kVariants)->rwkv7_add_bonus(args); }

std::span<const Variant<const ElementwiseKernels*>> elementwise_variants() { return kVariants; }

}  // namespace sutra::kernels
