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

__m512 widen_halves(const std::byte* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

__m512i even_columns(__m512i packed) { return _mm512_and_si512(packed, _mm512_set1_epi8(15)); }
__m512i odd_columns(__m512i packed) { return even_columns(_mm512_srli_epi16(packed, 4)); }

__m512i sum_of(const __m512i (&halves)[1]) { return halves[0]; }
__m512i sum_of(const __m512i (&halves)[2]) { return _mm512_add_epi32(halves[0], halves[1]); }

template <size_t kPlanes, size_t kTokens>
constexpr size_t kHalves = kPlanes == 2 && kTokens > 1 ? 1 : 2;

struct Inner {
  // Sixteen sums: enough to start two products a cycle, each waiting five for the one before it.
  template <Precision P>
  static constexpr size_t kTokenTile = 8;

  // A weight in each byte: a block's even columns of all rows, then its odd ones.
  static const std::byte* unpack(const std::byte* blocks, size_t n_blocks, std::byte* out) {
    for (size_t block = 0; block < n_blocks; ++block) {
      const __m512i packed = _mm512_loadu_si512(blocks + block * kQ4BlockBytes);
      _mm512_store_si512(out + block * 2 * kQ4BlockBytes, even_columns(packed));
      _mm512_store_si512(out + block * 2 * kQ4BlockBytes + kQ4BlockBytes, odd_columns(packed));
    }
    return out;
  }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kPlanes = activation_planes(P);
    // A15's planes add up separately; A8's halves of a block, for shorter chains of dependent products; one token's both.
    __m512i sum[kTokens][kPlanes][kHalves<kPlanes, kTokens>] = {};
    for (size_t block = 0; block < args.n_blocks; ++block) {
      const size_t k = args.first + block * kQ4BlockColumns;
      __m512i weights[2];
      if constexpr (kTokens == 1) {
        const __m512i packed = _mm512_loadu_si512(args.blocks + block * kQ4BlockBytes);
        weights[0] = even_columns(packed);
        weights[1] = odd_columns(packed);
      } else {
        for (size_t half = 0; half < 2; ++half) {
          weights[half] = _mm512_load_si512(args.blocks + (block * 2 + half) * kQ4BlockBytes);
        }
      }
      for (size_t t = 0; t < kTokens; ++t) {
        const int8_t* x = args.x.bytes[t] + k * kPlanes;
        for (size_t p = 0; p < kPlanes; ++p) {
          for (size_t half = 0; half < 2; ++half) {
            __m512i& to = sum[t][p][half % kHalves<kPlanes, kTokens>];
            to = _mm512_dpbusd_epi32(to, weights[half], broadcast4(x + p * 8 + half * 4));
          }
        }
      }
    }
    const std::byte* tail = args.tail;
    const std::byte* second = tail + kQ4ScaleBytes;
    const bool has_zeros = args.w.form == Q4Form::kZeros;
    const __m512 scales = widen_halves(tail);
    const __m512i zeros = has_zeros ? _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(second)))
                                    : _mm512_setzero_si512();
    const __m512 offsets = has_zeros ? _mm512_setzero_ps() : widen_halves(second);
    for (size_t t = 0; t < kTokens; ++t) {
      __m512i total = sum_of(sum[t][0]);
      if constexpr (kPlanes == 2) total = _mm512_add_epi32(_mm512_slli_epi32(total, 7), sum_of(sum[t][1]));
      const __m512i x_sum = _mm512_set1_epi32(args.x.sums[t][args.group]);
      const __m512i integer = _mm512_sub_epi32(total, _mm512_mullo_epi32(zeros, x_sum));
      const __m512 x_scale = _mm512_set1_ps(args.x.scales[t][args.group]);
      const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(integer), _mm512_mul_ps(scales, x_scale));
      float* y = out + t * kQ4TileRows;
      __m512 result = _mm512_add_ps(_mm512_load_ps(y), product);
      if (!has_zeros) {
        const __m512 x_total = _mm512_mul_ps(_mm512_cvtepi32_ps(x_sum), x_scale);
        result = _mm512_add_ps(result, _mm512_mul_ps(offsets, x_total));
      }
      _mm512_store_ps(y, result);
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
