// Multiply and add in float32 on registers.
#include "bench/kernels/limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace sutra::bench {
namespace {

using kernels::Isa;

// Independent sums: enough to hide an addition's latency, few enough for sixteen registers.
[[maybe_unused]] constexpr size_t kChains = 12;

#if defined(__x86_64__)
__attribute__((target("avx2"))) int64_t mul_add_avx2(size_t n_steps) {
  __m256 sums[kChains] = {};
  __m256 x = _mm256_set1_ps(0.5f);
  for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("" : "+x"(x));
      sums[i] = _mm256_add_ps(sums[i], _mm256_mul_ps(x, x));
    }
  }
  __m256 total = sums[0];
  for (const __m256& sum : sums) total = _mm256_add_ps(total, sum);
  return static_cast<int64_t>(_mm256_cvtss_f32(total));
}

__attribute__((target("avx512f"))) int64_t mul_add_avx512(size_t n_steps) {
  __m512 sums[kChains] = {};
  __m512 x = _mm512_set1_ps(0.5f);
  for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("" : "+v"(x));
      sums[i] = _mm512_add_ps(sums[i], _mm512_mul_ps(x, x));
    }
  }
  __m512 total = sums[0];
  for (const __m512& sum : sums) total = _mm512_add_ps(total, sum);
  return static_cast<int64_t>(_mm512_cvtss_f32(total));
}
#elif defined(__aarch64__)
int64_t mul_add_neon(size_t n_steps) {
  float32x4_t sums[kChains] = {};
  float32x4_t x = vdupq_n_f32(0.5f);
  for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      asm volatile("" : "+w"(x));
      sums[i] = vaddq_f32(sums[i], vmulq_f32(x, x));
    }
  }
  float32x4_t total = sums[0];
  for (const float32x4_t& sum : sums) total = vaddq_f32(total, sum);
  return static_cast<int64_t>(vgetq_lane_f32(total, 0));
}
#elif defined(__wasm_simd128__)
int64_t mul_add_simd128(size_t n_steps) {
  v128_t sums[kChains];
  // From memory: a constant would be built anew at each use. Different starts, or equal chains would be one.
  const volatile float start = 0.5f;
  v128_t x = wasm_f32x4_splat(start);
  for (size_t i = 0; i < kChains; ++i) sums[i] = wasm_f32x4_splat(start * static_cast<float>(i));
  for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      // The product takes its own sum: an engine would compute equal products once. All settle at 1.
      sums[i] = wasm_f32x4_add(x, wasm_f32x4_mul(sums[i], x));
    }
  }
  v128_t total = sums[0];
  for (const v128_t& sum : sums) total = wasm_f32x4_add(total, sum);
  return static_cast<int64_t>(wasm_f32x4_extract_lane(total, 0));
}
#endif

}  // namespace

Peak f32_peak(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2: return {"vmulps + vaddps 256 bits", kChains * 8, mul_add_avx2};
    case Isa::kAvx512: return {"vmulps + vaddps 512 bits", kChains * 16, mul_add_avx512};
#elif defined(__aarch64__)
    case Isa::kNeon: return {"fmul + fadd 128 bits", kChains * 4, mul_add_neon};
#elif defined(__wasm_simd128__)
    case Isa::kSimd128:
    case Isa::kRelaxed: return {"f32x4.mul + f32x4.add", kChains * 4, mul_add_simd128};
#endif
    default: return {{}, 0, nullptr};
  }
}

}  // namespace sutra::bench
