// AVX-512 with VNNI: one register holds a block, 8 columns of 16 rows; vpdpbusd takes the weights as its unsigned bytes.
#include <immintrin.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::avx512 {
namespace {

__m512i broadcast4(const int8_t* at) {
  int32_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kPlanes = P == Precision::kA15 ? 2 : 1;
    const __m512i mask = _mm512_set1_epi8(15);
    // Even and odd halves of a block add up separately: shorter chains of dependent products.
    __m512i even_sum[kTokens][kPlanes] = {};
    __m512i odd_sum[kTokens][kPlanes] = {};
    for (size_t block = 0; block < args.n_blocks; ++block) {
      const size_t k = args.first + block * kQ4BlockColumns;
      const __m512i packed = _mm512_loadu_si512(args.blocks + block * kQ4BlockBytes);
      const __m512i even = _mm512_and_si512(packed, mask);
      const __m512i odd = _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask);
      for (size_t t = 0; t < kTokens; ++t) {
        const int8_t* x = args.x.bytes[t] + k * kPlanes;
        for (size_t p = 0; p < kPlanes; ++p) {
          even_sum[t][p] = _mm512_dpbusd_epi32(even_sum[t][p], even, broadcast4(x + p * 8));
          odd_sum[t][p] = _mm512_dpbusd_epi32(odd_sum[t][p], odd, broadcast4(x + p * 8 + 4));
        }
      }
    }
    const std::byte* tail = args.tail();
    const __m512 scales = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(tail)));
    const __m512i zeros =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tail + kQ4TileRows * 2)));
    for (size_t t = 0; t < kTokens; ++t) {
      __m512i total = _mm512_add_epi32(even_sum[t][0], odd_sum[t][0]);
      if constexpr (kPlanes == 2) {
        total = _mm512_add_epi32(_mm512_slli_epi32(total, 7), _mm512_add_epi32(even_sum[t][1], odd_sum[t][1]));
      }
      const __m512i x_sum = _mm512_set1_epi32(args.x.sums[t][args.group]);
      const __m512i integer = _mm512_sub_epi32(total, _mm512_mullo_epi32(zeros, x_sum));
      const __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(args.x.scales[t][args.group]));
      float* y = out + t * kQ4TileRows;
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), _mm512_mul_ps(_mm512_cvtepi32_ps(integer), scale)));
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

}  // namespace sutra::kernels::avx512
