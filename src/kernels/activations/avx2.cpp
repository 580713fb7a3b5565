#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/activations/variants.h"

namespace sutra::kernels::avx2 {
namespace {

constexpr float kShift = 0x1.8p23f;  // adding it rounds |v| < 2^22 to an integer, half to even

__m256i max_bits(__m256i max, const float* x) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  return _mm256_max_epi32(max, _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff)));
}

float group_scale(const float* x, size_t n, float levels) {
  __m256i max8 = _mm256_setzero_si256();
  size_t k = 0;
  for (; k + 8 <= n; k += 8) max8 = max_bits(max8, x + k);
  if (k < n) {
    float rest[8] = {};
    std::memcpy(rest, x + k, (n - k) * sizeof(float));
    max8 = max_bits(max8, rest);
  }
  __m128i max = _mm_max_epi32(_mm256_castsi256_si128(max8), _mm256_extracti128_si256(max8, 1));
  max = _mm_max_epi32(max, _mm_shuffle_epi32(max, 0x4e));
  max = _mm_max_epi32(max, _mm_shuffle_epi32(max, 0xb1));
  const float magnitude = std::bit_cast<float>(_mm_cvtsi128_si32(max));
  if (!(magnitude <= std::numeric_limits<float>::max())) return std::numeric_limits<float>::quiet_NaN();
  const float scale = magnitude / levels;
  return scale < std::numeric_limits<float>::min() ? 0.0f : scale;
}

// Eight quotients as eight 16-bit integers.
__m128i round8(const float* x, __m256 scale) {
  const __m256 shifted = _mm256_add_ps(_mm256_div_ps(_mm256_loadu_ps(x), scale), _mm256_set1_ps(kShift));
  const __m256i integer = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(_mm256_set1_ps(kShift)));
  return _mm_packs_epi32(_mm256_castsi256_si128(integer), _mm256_extracti128_si256(integer, 1));
}

// Eight columns as pairs and bytes; returns their pair sums.
template <Precision P>
__m128i store8(__m128i xq, int16_t* pairs, int8_t* bytes) {
  auto* const stored_pairs = reinterpret_cast<__m128i*>(pairs);
  if constexpr (P == Precision::kA14) {
    const __m128i shifted = _mm_add_epi16(xq, _mm_set1_epi16(kA14Offset));
    const __m128i high_part = _mm_srli_epi16(shifted, 7);
    const __m128i low_part = _mm_and_si128(shifted, _mm_set1_epi16(127));
    _mm_storeu_si128(stored_pairs, xq);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm_packs_epi16(high_part, low_part));
    return _mm_madd_epi16(xq, _mm_set1_epi16(1));
  }
  // Columns 0 2 4 6 1 3 5 7.
  const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  _mm_storeu_si128(stored_pairs, _mm_shuffle_epi8(xq, order));
  if constexpr (P == Precision::kA15) {
    const __m128i high_part = _mm_srai_epi16(_mm_add_epi16(xq, _mm_set1_epi16(64)), 7);
    const __m128i low_part = _mm_sub_epi16(xq, _mm_slli_epi16(high_part, 7));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm_packs_epi16(high_part, low_part));
  } else {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packs_epi16(xq, xq));
  }
  return _mm_madd_epi16(xq, _mm_set1_epi16(1));
}

template <Precision P>
void quantize(const float* x, const Activations& out, size_t token) {
  constexpr size_t kPlanes = activation_planes(P);
  int16_t* pairs = out.pairs(token);
  int8_t* bytes = out.bytes(token);
  for (size_t group = 0; group < out.n_groups(); ++group) {
    const size_t first = group * out.group_size;
    const size_t last = std::min(first + out.group_size, out.n_cols);
    const float scale = group_scale(x + first, last - first, activation_levels(P));
    __m128i sum = _mm_setzero_si128();
    if (scale > 0.0f) {
      const __m256 scales = _mm256_set1_ps(scale);
      size_t k = first;
      for (; k + 8 <= last; k += 8) {
        sum = _mm_add_epi32(sum, store8<P>(round8(x + k, scales), pairs + k, bytes + k * kPlanes));
      }
      if (k < last) {
        float rest[8] = {};
        std::memcpy(rest, x + k, (last - k) * sizeof(float));
        sum = _mm_add_epi32(sum, store8<P>(round8(rest, scales), pairs + k, bytes + k * kPlanes));
      }
    } else {
      for (size_t k = first; k < last; k += 8) store8<P>(sum, pairs + k, bytes + k * kPlanes);
    }
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    out.scales(token)[group] = scale;
    out.sums(token)[group] = _mm_cvtsi128_si32(sum);
  }
}

}  // namespace

void quantize_activations(const float* x, const Activations& out, size_t token) {
  switch (out.precision) {
    case Precision::kA15: return quantize<Precision::kA15>(x, out, token);
    case Precision::kA8: return quantize<Precision::kA8>(x, out, token);
    case Precision::kA14: return quantize<Precision::kA14>(x, out, token);
  }
}

}  // namespace sutra::kernels::avx2
