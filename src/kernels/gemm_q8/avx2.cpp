// AVX2: weights widened to 16 bits, products of 16-bit pairs; the two pairs of a row are added at the end.
#include <immintrin.h>

#include "kernels/gemm_q8/variants.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::avx2 {
namespace {

__m256i broadcast4(const int16_t* at) {
  int64_t columns = 0;
  std::memcpy(&columns, at, sizeof columns);
  return _mm256_set1_epi64x(columns);
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q8View, kTokens>& args, float* out) {
    // Eight sums at most: one a row vector, of four rows with two partial sums each.
    constexpr size_t kVectors = kTokens == 4 ? 2 : 4;
    const std::byte* const end = args.tail;
    for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
      __m256i sum[kTokens][kVectors] = {};
      const int16_t* x[kTokens];
      for (size_t t = 0; t < kTokens; ++t) x[t] = args.x.pairs[t] + args.first;
      for (const std::byte* half = args.blocks; half < end; half += Q8View::kBlockBytes / 2) {
        for (size_t v = 0; v < kVectors; ++v) {
          const auto* at = reinterpret_cast<const __m128i*>(half + (v0 + v) * 16);
          const __m256i weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(at));
          for (size_t t = 0; t < kTokens; ++t) {
            sum[t][v] = _mm256_add_epi32(sum[t][v], _mm256_madd_epi16(weights, broadcast4(x[t])));
          }
        }
        for (size_t t = 0; t < kTokens; ++t) x[t] += 4;
      }
      for (size_t t = 0; t < kTokens; ++t) {
        const __m256 x_scale = _mm256_set1_ps(args.x.scales[t][args.group]);
        for (size_t v = 0; v < kVectors; v += 2) {
          // hadd works within halves: rows 0 1 4 5 | 2 3 6 7.
          const __m256i mixed = _mm256_hadd_epi32(sum[t][v], sum[t][v + 1]);
          const __m256 integer = _mm256_cvtepi32_ps(_mm256_permute4x64_epi64(mixed, 0b11'01'10'00));
          const __m256 w_scale = _mm256_loadu_ps(reinterpret_cast<const float*>(end) + (v0 + v) * 4);
          float* y = out + t * Q8View::kTileRows + (v0 + v) * 4;
          const __m256 product = _mm256_mul_ps(integer, _mm256_mul_ps(w_scale, x_scale));
          _mm256_storeu_ps(y, _mm256_add_ps(_mm256_loadu_ps(y), product));
        }
      }
    }
  }
};

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply_rows<Inner, Precision::kA14>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::avx2
