// AVX2. A15 uses products of 16-bit pairs, like wasm_simd128.cpp (see there for the masks); A8 uses vpmaddubsw with
// the weights as its unsigned bytes: pair sums stay in ±3810, so eight of them fit 16 bits before they are widened.
#include <immintrin.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::avx2 {
namespace {

constexpr size_t kBlocksPerWidening = 4;

__m256i load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }

template <class T>
__m256i broadcast4(const T* at) {
  int32_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  return _mm256_set1_epi32(bytes);
}

__m256i dot_pairs(const int16_t* x, __m256i weights, __m256i sum) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(broadcast4(x), weights));
}

// Σ q·xq of rows 8v…8v+7 over n_blocks blocks, for kTokens tokens.
template <size_t kTokens>
void dot_group_a15(const std::byte* at, size_t n_blocks, const int16_t* const (&pairs)[kTokens], size_t first,
                   __m256i (&total)[kTokens]) {
  const __m256i mask = _mm256_set1_epi16(0x000f);
  const __m256i mask_16 = _mm256_set1_epi16(0x00f0);
  __m256i sum[kTokens] = {};
  __m256i sum_16[kTokens] = {};
  for (size_t block = 0; block < n_blocks; ++block) {
    const size_t k = first + block * kQ4BlockColumns;
    const __m256i packed = load(at + block * kQ4BlockBytes);
    const __m256i upper = _mm256_srli_epi16(packed, 8);
    const __m256i w0 = _mm256_and_si256(packed, mask);
    const __m256i w1 = _mm256_and_si256(packed, mask_16);
    const __m256i w2 = _mm256_and_si256(upper, mask);
    const __m256i w3 = _mm256_and_si256(upper, mask_16);
    for (size_t t = 0; t < kTokens; ++t) {
      sum[t] = dot_pairs(pairs[t] + k, w0, sum[t]);
      sum_16[t] = dot_pairs(pairs[t] + k + 2, w1, sum_16[t]);
      sum[t] = dot_pairs(pairs[t] + k + 4, w2, sum[t]);
      sum_16[t] = dot_pairs(pairs[t] + k + 6, w3, sum_16[t]);
    }
  }
  for (size_t t = 0; t < kTokens; ++t) total[t] = _mm256_add_epi32(sum[t], _mm256_srai_epi32(sum_16[t], 4));
}

template <size_t kTokens>
void dot_group_a8(const std::byte* at, size_t n_blocks, const int8_t* const (&bytes)[kTokens], size_t first,
                  __m256i (&total)[kTokens]) {
  const __m256i mask = _mm256_set1_epi8(15);
  for (size_t t = 0; t < kTokens; ++t) total[t] = _mm256_setzero_si256();
  for (size_t start = 0; start < n_blocks; start += kBlocksPerWidening) {
    const size_t end = std::min(start + kBlocksPerWidening, n_blocks);
    __m256i sum[kTokens] = {};
    for (size_t block = start; block < end; ++block) {
      const size_t k = first + block * kQ4BlockColumns;
      const __m256i packed = load(at + block * kQ4BlockBytes);
      const __m256i even = _mm256_and_si256(packed, mask);
      const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask);
      for (size_t t = 0; t < kTokens; ++t) {
        sum[t] = _mm256_add_epi16(sum[t], _mm256_maddubs_epi16(even, broadcast4(bytes[t] + k)));
        sum[t] = _mm256_add_epi16(sum[t], _mm256_maddubs_epi16(odd, broadcast4(bytes[t] + k + 4)));
      }
    }
    for (size_t t = 0; t < kTokens; ++t) {
      total[t] = _mm256_add_epi32(total[t], _mm256_madd_epi16(sum[t], _mm256_set1_epi16(1)));
    }
  }
}

__m256 widen_halves(const std::byte* at) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    const std::byte* tail = args.tail;
    const std::byte* second = tail + kQ4ScaleBytes;
    const bool has_zeros = args.w.form == Q4Form::kZeros;
    for (size_t v = 0; v < 2; ++v) {
      __m256i total[kTokens];
      if constexpr (P == Precision::kA15) {
        dot_group_a15(args.blocks + v * 32, args.n_blocks, args.x.pairs, args.first, total);
      } else {
        dot_group_a8(args.blocks + v * 32, args.n_blocks, args.x.bytes, args.first, total);
      }
      const __m256 scales = widen_halves(tail + v * 16);
      const __m256i zeros =
          has_zeros ? _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(second + v * 8)))
                    : _mm256_setzero_si256();
      const __m256 offsets = has_zeros ? _mm256_setzero_ps() : widen_halves(second + v * 16);
      for (size_t t = 0; t < kTokens; ++t) {
        const __m256i x_sum = _mm256_set1_epi32(args.x.sums[t][args.group]);
        const __m256i integer = _mm256_sub_epi32(total[t], _mm256_mullo_epi32(zeros, x_sum));
        const __m256 x_scale = _mm256_set1_ps(args.x.scales[t][args.group]);
        const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(integer), _mm256_mul_ps(scales, x_scale));
        float* y = out + t * kQ4TileRows + v * 8;
        __m256 result = _mm256_add_ps(_mm256_load_ps(y), product);
        if (!has_zeros) {
          const __m256 x_total = _mm256_mul_ps(_mm256_cvtepi32_ps(x_sum), x_scale);
          result = _mm256_add_ps(result, _mm256_mul_ps(offsets, x_total));
        }
        _mm256_store_ps(y, result);
      }
    }
  }
};

}  // namespace

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.precision == Precision::kA15) {
    multiply_rows<Inner, Precision::kA15>(w, x, first_row, last_row, y, y_stride);
  } else {
    multiply_rows<Inner, Precision::kA8>(w, x, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels::avx2
