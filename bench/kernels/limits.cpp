#include "bench/kernels/limits.h"

#include <cstring>

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

// Independent chains: more than latency × throughput of any of these instructions.
constexpr size_t kChains = 12;

// Hides a value from the optimizer, so that loop-invariant products stay in the loop.
template <class T>
void opaque(T& value) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(value));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(value));
#else
  asm volatile("" : "+r"(value));
#endif
}

uint64_t read_words(std::span<const std::byte> bytes) {
  uint64_t sums[4] = {};
  for (size_t i = 0; i + 32 <= bytes.size(); i += 32) {
    uint64_t words[4];
    std::memcpy(words, bytes.data() + i, sizeof words);
    for (size_t j = 0; j < 4; ++j) sums[j] += words[j];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t read_avx2(std::span<const std::byte> bytes) {
  __m256i sums[4] = {};
  for (size_t i = 0; i + 128 <= bytes.size(); i += 128) {
    for (size_t j = 0; j < 4; ++j) {
      sums[j] = _mm256_add_epi64(sums[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes.data() + i) + j));
    }
  }
  const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(sum, 0)) + static_cast<uint64_t>(_mm256_extract_epi64(sum, 1)) +
         static_cast<uint64_t>(_mm256_extract_epi64(sum, 2)) + static_cast<uint64_t>(_mm256_extract_epi64(sum, 3));
}

__attribute__((target("avx512f"))) uint64_t read_avx512(std::span<const std::byte> bytes) {
  __m512i sums[4] = {};
  for (size_t i = 0; i + 256 <= bytes.size(); i += 256) {
    for (size_t j = 0; j < 4; ++j) {
      sums[j] = _mm512_add_epi64(sums[j], _mm512_loadu_si512(bytes.data() + i + j * 64));
    }
  }
  const __m512i sum = _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]));
  uint64_t lanes[8];
  _mm512_storeu_si512(lanes, sum);
  uint64_t total = 0;
  for (const uint64_t lane : lanes) total += lane;
  return total;
}

__attribute__((target("avx2"))) int64_t dot_avx2(size_t n_steps) {
  __m256i sums[kChains] = {};
  const __m256i weights = _mm256_set1_epi8(3);
  __m256i x = _mm256_set1_epi8(5);
  for (size_t step = 0; step < n_steps; ++step) {
    opaque(x);
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      opaque(x);
      sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(weights, x));
    }
  }
  __m256i total = sums[0];
  for (const __m256i& sum : sums) total = _mm256_add_epi16(total, sum);
  return _mm256_extract_epi16(total, 0);
}

__attribute__((target("avx512f,avx512vnni"))) int64_t dot_avx512(size_t n_steps) {
  __m512i sums[kChains] = {};
  const __m512i weights = _mm512_set1_epi8(3);
  __m512i x = _mm512_set1_epi8(5);
  for (size_t step = 0; step < n_steps; ++step) {
    asm volatile("" : "+v"(x));
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      opaque(x);
      sums[i] = _mm512_dpbusd_epi32(sums[i], weights, x);
    }
  }
  __m512i total = sums[0];
  for (const __m512i& sum : sums) total = _mm512_add_epi32(total, sum);
  int64_t lanes[8];
  _mm512_storeu_si512(lanes, total);
  return lanes[0];
}
#endif

#if defined(__aarch64__)
__attribute__((target("arch=armv8.2-a+dotprod"))) int64_t dot_neon(size_t n_steps) {
  int32x4_t sums[kChains] = {};
  const int8x16_t weights = vdupq_n_s8(3);
  int8x16_t x = vdupq_n_s8(5);
  for (size_t step = 0; step < n_steps; ++step) {
    opaque(x);
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      opaque(x);
      sums[i] = vdotq_s32(sums[i], weights, x);
    }
  }
  int64_t total = 0;
  for (const int32x4_t& sum : sums) total += vaddvq_s32(sum);
  return total;
}
#endif

#if defined(__wasm_simd128__)
uint64_t read_simd128(std::span<const std::byte> bytes) {
  v128_t sums[4] = {};
  for (size_t i = 0; i + 64 <= bytes.size(); i += 64) {
    for (size_t j = 0; j < 4; ++j) sums[j] = wasm_i64x2_add(sums[j], wasm_v128_load(bytes.data() + i + j * 16));
  }
  const v128_t sum = wasm_i64x2_add(wasm_i64x2_add(sums[0], sums[1]), wasm_i64x2_add(sums[2], sums[3]));
  return static_cast<uint64_t>(wasm_i64x2_extract_lane(sum, 0)) +
         static_cast<uint64_t>(wasm_i64x2_extract_lane(sum, 1));
}

// From memory: a constant would be built anew at each use.
v128_t loaded_splat(uint16_t value) {
  const volatile uint16_t stored = value;
  return wasm_i16x8_splat(static_cast<int16_t>(stored));
}

int64_t dot_simd128(size_t n_steps) {
  v128_t sums[kChains] = {};
  v128_t x = loaded_splat(0x0005);
  for (v128_t& sum : sums) sum = x;
  for (size_t step = 0; step < n_steps; ++step) {
    // Each product takes its own sum: equal products would be computed once.
    opaque(x);
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      opaque(x);
      sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(sums[i], x));
    }
  }
  v128_t total = sums[0];
  for (const v128_t& sum : sums) total = wasm_i32x4_add(total, sum);
  return wasm_i32x4_extract_lane(total, 0);
}
#endif

#if defined(__wasm_relaxed_simd__)
int64_t dot_relaxed(size_t n_steps) {
  v128_t sums[kChains] = {};
  const v128_t weights = loaded_splat(0x0303);
  v128_t x = loaded_splat(0x0505);
  for (size_t step = 0; step < n_steps; ++step) {
    opaque(x);
#pragma GCC unroll 12
    for (size_t i = 0; i < kChains; ++i) {
      opaque(x);
      sums[i] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, weights, sums[i]);
    }
  }
  v128_t total = sums[0];
  for (const v128_t& sum : sums) total = wasm_i32x4_add(total, sum);
  return wasm_i32x4_extract_lane(total, 0);
}
#endif

}  // namespace

uint64_t stream_read(Isa isa, std::span<const std::byte> bytes) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2: return read_avx2(bytes);
    case Isa::kAvx512: return read_avx512(bytes);
#endif
#if defined(__wasm_simd128__)
    case Isa::kSimd128:
    case Isa::kRelaxedPairs:
    case Isa::kRelaxed: return read_simd128(bytes);
#endif
    default: return read_words(bytes);
  }
}

Peak dot_peak(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2: return {"vpmaddubsw + vpaddw 256 bits", kChains * 32, dot_avx2};
    case Isa::kAvx512: return {"vpdpbusd 512 bits", kChains * 64, dot_avx512};
#endif
#if defined(__aarch64__)
    case Isa::kNeon: return {"sdot 128 bits", kChains * 16, dot_neon};
#endif
#if defined(__wasm_simd128__)
    case Isa::kSimd128: return {"i32x4.dot_i16x8_s + add", kChains * 8, dot_simd128};
#endif
#if defined(__wasm_relaxed_simd__)
    case Isa::kRelaxed: return {"i32x4.relaxed_dot_i8x16_i7x16_add", kChains * 16, dot_relaxed};
#endif
    default: return {{}, 0, nullptr};
  }
}

}  // namespace sutra::bench
