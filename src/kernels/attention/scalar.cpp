// The specification of attention over a cache.
#include "kernels/attention/attention.h"
#include "kernels/simd/f32x1.h"
#include "kernels/simd/math.h"

namespace sutra::kernels::scalar {
namespace {

float exp_of(float x) { return kernels::exp_of(F32x1{x}).v; }

void attend(const AttentionArgs& args, const float* q, size_t n_tokens, float* y) {
  const size_t n = args.cache.head_dim;
  float largest = -__builtin_inff();
  float partial[kPartialSums] = {};
  for (size_t i = 0; i < n; ++i) y[i] = 0.0f;
  for (size_t first = 0; first < n_tokens; first += kCachePageTokens) {
    const float* page = args.cache.pages[first / kCachePageTokens];
    const float* keys = page + args.cache.key_offset;
    const float* values = page + args.cache.value_offset;
    const size_t n_in_page = n_tokens - first < kCachePageTokens ? n_tokens - first : kCachePageTokens;
    float a[kCachePageTokens];
    const float largest_before = largest;
    for (size_t j = 0; j < n_in_page; ++j) {
      float dot = 0.0f;
      for (size_t i = 0; i < n; ++i) dot += q[i] * keys[i * kCachePageTokens + j];
      a[j] = dot * args.scale;
      largest = a[j] > largest ? a[j] : largest;
    }
    const float rescale = exp_of(largest_before - largest);
    for (float& sum : partial) sum *= rescale;
    for (size_t j = 0; j < n_in_page; ++j) {
      a[j] = exp_of(a[j] - largest);
      partial[j % kPartialSums] += a[j];
    }
    for (size_t i = 0; i < n; ++i) {
      y[i] *= rescale;
      for (size_t j = 0; j < n_in_page; ++j) y[i] += a[j] * values[j * n + i];
    }
  }
  for (size_t half = kPartialSums / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) partial[i] += partial[i + half];
  }
  for (size_t i = 0; i < n; ++i) y[i] /= partial[0];
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t g = 0; g < args.n_queries; ++g) {
      const size_t at = t * args.stride + g * args.cache.head_dim;
      attend(args, args.q + at, args.first_position + t + 1, args.y + at);
    }
  }
}

}  // namespace sutra::kernels::scalar
