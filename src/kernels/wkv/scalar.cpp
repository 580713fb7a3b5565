// The specification of RWKV's recurrences.
#include "kernels/simd/f32x1.h"
#include "kernels/simd/math.h"
#include "kernels/wkv/wkv.h"

namespace sutra::kernels::scalar {
namespace {

float exp(float x) { return exp_of(F32x1{x}).v; }

// NaN of b stays, as in the vectors' max.
float max(float a, float b) { return F32x1::max(F32x1{a}, F32x1{b}).v; }

void wkv4(const Wkv4Args& args) {
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t c = args.first_channel; c < args.last_channel; ++c) {
      float& aa = args.aa[c];
      float& bb = args.bb[c];
      float& pp = args.pp[c];
      const float k = args.k[t * args.n_channels + c], v = args.v[t * args.n_channels + c];
      const float now = args.u[c] + k;
      const float p_now = max(pp, now);
      const float before_share = exp(pp - p_now), now_share = exp(now - p_now);
      args.y[t * args.n_channels + c] = (before_share * aa + now_share * v) / (before_share * bb + now_share);
      const float decayed = pp + args.w[c];
      pp = max(decayed, k);
      const float old_share = exp(decayed - pp), new_share = exp(k - pp);
      aa = old_share * aa + new_share * v;
      bb = old_share * bb + new_share;
    }
  }
}

void wkv6(const Wkv6Args& args) {
  const size_t n = args.head_size;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t head = args.first_head; head < args.last_head; ++head) {
      float* state = args.state + head * n * n;
      const float* w = args.w + t * args.w_stride + head * n;
      const size_t row = (t * args.n_heads + head) * n;
      const float bonus = sum_of<F32x1>(
          n, [&](size_t j, auto) { return F32x1{(args.r[row + j] * args.u[head * n + j]) * args.k[row + j]}; });
      for (size_t i = 0; i < n; ++i) {
        const float v = args.v[row + i];
        float y = 0.0f;
        for (size_t j = 0; j < n; ++j) {
          float& s = state[j * n + i];
          y += s * args.r[row + j];
          s = s * w[j] + v * args.k[row + j];
        }
        args.y[row + i] = y + bonus * v;
      }
    }
  }
}

void wkv7(const Wkv7Args& args) {
  const size_t n = args.head_size;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t head = args.first_head; head < args.last_head; ++head) {
      float* state = args.state + head * n * n;
      const size_t row = (t * args.n_heads + head) * n;
      for (size_t i = 0; i < n; ++i) {
        float sa = 0.0f;
        for (size_t j = 0; j < n; ++j) sa += state[j * n + i] * args.kk[row + j];
        float y = 0.0f;
        for (size_t j = 0; j < n; ++j) {
          float& s = state[j * n + i];
          s = (s * args.w[row + j] - sa * (args.kk[row + j] * args.a[row + j])) + args.v[row + i] * args.k[row + j];
          y += s * args.r[row + j];
        }
        args.y[row + i] = y;
      }
    }
  }
}

}  // namespace

extern const WkvKernels kWkv;
const WkvKernels kWkv = {.wkv4 = wkv4, .wkv6 = wkv6, .wkv7 = wkv7};

}  // namespace sutra::kernels::scalar
