#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/assert.h"

namespace sutra::kernels {

namespace scalar {
void attention(const AttentionArgs& args);
}
namespace simd128 {
void attention(const AttentionArgs& args);
}
namespace avx2 {
void attention(const AttentionArgs& args);
}
namespace avx512 {
void attention(const AttentionArgs& args);
}
namespace neon {
void attention(const AttentionArgs& args);
}

namespace {

constexpr Variant<AttentionKernel> kVariants[] = {
    {Isa::kScalar, "scalar", scalar::attention},
#if SUTRA_HAVE_WASM_SIMD128
    {Isa::kSimd128, "simd128", simd128::attention},
#endif
#if SUTRA_HAVE_AVX2
    {Isa::kAvx2, "avx2", avx2::attention},
#endif
#if SUTRA_HAVE_AVX512
    {Isa::kAvx512, "avx512", avx512::attention},
#endif
#if SUTRA_HAVE_NEON
    {Isa::kNeon, "neon", neon::attention},
#endif
};

}  // namespace

void attention(const AttentionArgs& args) {
  SUTRA_ASSERT(args.n_queries > 0 && args.cache.head_dim > 0);
  select(kVariants)(args);
}

std::span<const Variant<AttentionKernel>> attention_variants() { return kVariants; }

void cache_append(const CacheAppendArgs& args) {
  const size_t n = args.cache.head_dim;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const size_t position = args.first_position + t;
    const size_t in_page = position % kCachePageTokens;
    float* page = args.cache.pages[position / kCachePageTokens];
    const float* k = args.k + t * args.stride;
    float* keys = page + args.cache.key_offset + in_page;
    for (size_t i = 0; i < n; ++i) keys[i * kCachePageTokens] = k[i];
    std::copy_n(args.v + t * args.stride, n, page + args.cache.value_offset + in_page * n);
  }
}

}  // namespace sutra::kernels
