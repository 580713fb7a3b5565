// AVX-512 with VNNI: one register holds 4 columns of 16 rows; vpdpbusd takes the activations' 7-bit planes (A14) as its
// unsigned bytes and the weights as the signed ones.
#include <immintrin.h>

#include "kernels/gemm_q8/variants.h"
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

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q8View, kTokens>& args, float* out) {
    __m512i high[kTokens] = {};
    __m512i low[kTokens] = {};
    const std::byte* const end = args.tail;
    size_t at = args.first * 2;
    for (const std::byte* block = args.blocks; block < end; block += Q8View::kBlockBytes, at += 16) {
      for (size_t half = 0; half < 2; ++half) {
        const __m512i weights = _mm512_loadu_si512(block + half * 64);
        for (size_t t = 0; t < kTokens; ++t) {
          const int8_t* x = args.x.bytes[t] + at + half * 4;
          high[t] = _mm512_dpbusd_epi32(high[t], broadcast4(x), weights);
          low[t] = _mm512_dpbusd_epi32(low[t], broadcast4(x + 8), weights);
        }
      }
    }
    const __m512 scales = _mm512_loadu_ps(end);
    const __m512i offsets = _mm512_loadu_si512(end + Q8View::kTileRows * sizeof(float));
    for (size_t t = 0; t < kTokens; ++t) {
      const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high[t], 7), low[t]);
      const __m512 integer = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offsets));
      const __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(args.x.scales[t][args.group]));
      float* y = out + t * Q8View::kTileRows;
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), _mm512_mul_ps(integer, scale)));
    }
  }
};

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply_rows<Inner, Precision::kA14>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::avx512
