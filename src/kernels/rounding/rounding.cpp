#include "kernels/rounding/rounding.h"

namespace sutra::kernels {

namespace scalar {
extern const RoundingKernels kRounding;
}
namespace simd128 {
extern const RoundingKernels kRounding;
}
namespace avx2 {
extern const RoundingKernels kRounding;
}
namespace avx512 {
extern const RoundingKernels kRounding;
}
namespace neon {
extern const RoundingKernels kRounding;
}

namespace {

constexpr Variant<const RoundingKernels*> kVariants[] = {
    {Isa::kScalar, "scalar", &scalar::kRounding},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", &simd128::kRounding},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", &avx2::kRounding},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", &avx512::kRounding},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", &neon::kRounding},
#endif
};

}  // namespace

void group_ranges(const RoundingRow& row, float* low, float* high) { select(kVariants)->group_ranges(row, low, high); }

void rounding_error(const RoundingRow& row, const float* low, const float* high, float levels, float* error) {
  select(kVariants)->rounding_error(row, low, high, levels, error);
}

float moment_error(const RoundingRow& row, const float* low, const float* high, float levels, const Moments& moments) {
  return select(kVariants)->moment_error(row, low, high, levels, moments);
}

void range_errors(const RoundingRow& row, const float* low, const float* high, size_t n_ranges, float levels,
                  const Moments& moments, float* errors) {
  select(kVariants)->range_errors(row, low, high, n_ranges, levels, moments, errors);
}

void quadratic_errors(const float* errors, size_t n_errors, size_t n, const float* products, float* squares) {
  select(kVariants)->quadratic_errors(errors, n_errors, n, products, squares);
}

void channel_sums(const float* x, size_t n_tokens, size_t stride, size_t n, const ChannelSums& out) {
  select(kVariants)->channel_sums(x, n_tokens, stride, n, out);
}

void add_products(const float* x, size_t n_tokens, size_t stride, size_t n, float* products) {
  select(kVariants)->add_products(x, n_tokens, stride, n, products);
}

void compensated_rounding(const CompensatedColumns& columns, float* weights, float* rounded) {
  select(kVariants)->compensated_rounding(columns, weights, rounded);
}

void inverse_factor(double* h, double* inverse, size_t n) { select(kVariants)->inverse_factor(h, inverse, n); }

std::span<const Variant<const RoundingKernels*>> rounding_variants() { return kVariants; }

}  // namespace sutra::kernels
