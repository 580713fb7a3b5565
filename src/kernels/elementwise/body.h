// The element-wise kernels over any vector type; every variant, the scalar one included, is an instance.
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"

namespace sutra::kernels {
namespace {

inline constexpr float kDecayScale = -0x1.368b3p-1f;  // −e^{−1/2}

template <class V>
struct ElementwiseBody {
  template <class F>
  static SUTRA_ALWAYS_INLINE void map(const float* x, size_t n, float* y, const F& f) {
    for_wide<Pair<V>, V>(0, n, [&]<class W>(size_t i, auto lanes) { f(W::load(x + i, lanes)).store(y + i, lanes); });
  }
  template <class F>
  static SUTRA_ALWAYS_INLINE void map(const float* a, const float* b, size_t n, float* y, const F& f) {
    for_wide<Pair<V>, V>(0, n, [&]<class W>(size_t i, auto lanes) {
      f(W::load(a + i, lanes), W::load(b + i, lanes)).store(y + i, lanes);
    });
  }

  static void exp(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) { return exp_of(a); });
  }
  static void sigmoid(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) { return sigmoid_of(a); });
  }
  static void tanh(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) { return tanh_of(a); });
  }
  static void softplus(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) { return softplus_of(a); });
  }
  static void silu(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) { return silu_of(a); });
  }
  static void relu_squared(const float* x, size_t n, float* y) {
    map(x, n, y, [](auto a) {
      const auto positive = decltype(a)::max(decltype(a)::zero(), a);
      return positive * positive;
    });
  }

  static void add(const float* a, const float* b, size_t n, float* y) {
    map(a, b, n, y, [](auto p, auto q) { return p + q; });
  }
  static void mul(const float* a, const float* b, size_t n, float* y) {
    map(a, b, n, y, [](auto p, auto q) { return p * q; });
  }
  static void mul_silu(const float* a, const float* z, size_t n, float* y) {
    map(a, z, n, y, [](auto p, auto q) { return p * silu_of(q); });
  }

  static void scale(const float* x, float factor, size_t n, float* y) {
    map(x, n, y, [factor](auto a) { return a * decltype(a)::splat(factor); });
  }
  static void add_scaled(const float* a, const float* b, float factor, size_t n, float* y) {
    map(a, b, n, y, [factor](auto p, auto q) { return p + q * decltype(q)::splat(factor); });
  }

  static void add_bias(const float* x, const float* bias, size_t n_tokens, size_t n_channels, float* y) {
    for (size_t t = 0; t < n_tokens; ++t) add(x + t * n_channels, bias, n_channels, y + t * n_channels);
  }

  static void token_shift_lerp(const TokenShiftLerpArgs& args) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const float* x = args.x + t * args.n_channels;
      const float* x_before = t == 0 ? args.x_prev : x - args.n_channels;
      for_lanes<V>(0, args.n_channels, [&](size_t c, auto lanes) {
        const V now = V::load(x + c, lanes);
        const V step = V::load(x_before + c, lanes) - now;
        for (size_t m = 0; m < args.n_mixes; ++m) {
          const V mixed = now + step * V::load(args.mixes[m].mix + c, lanes);
          mixed.store(args.mixes[m].y + t * args.n_channels + c, lanes);
        }
      });
    }
  }

  static void token_shift_ddlerp(const TokenShiftDdlerpArgs& args) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const size_t row = t * args.n_channels;
      const float* x = args.x + row;
      const float* x_before = t == 0 ? args.x_prev : x - args.n_channels;
      for_lanes<V>(0, args.n_channels, [&](size_t c, auto lanes) {
        const V now = V::load(x + c, lanes);
        const V step = V::load(x_before + c, lanes) - now;
        for (size_t m = 0; m < args.n_mixes; ++m) {
          const TokenShiftDdlerpMix& mix = args.mixes[m];
          const V share = V::load(mix.mix + c, lanes) + V::load(mix.offset + row + c, lanes);
          (now + step * share).store(mix.y + row + c, lanes);
        }
      });
    }
  }

  static void rwkv6_decay(const float* w_raw, size_t n, float* w) {
    map(w_raw, n, w, [](auto a) { return exp_of(decltype(a)::zero() - exp_of(a)); });
  }
  static void rwkv7_decay(const float* w_raw, size_t n, float* w) {
    map(w_raw, n, w, [](auto a) { return exp_of(decltype(a)::constant(kDecayScale) * sigmoid_of(a)); });
  }

  static void rwkv7_replacement_key(const float* k, const float* a, const float* k_a, size_t n_tokens,
                                    size_t n_channels, float* y) {
    const V one = V::splat(1.0f);
    for (size_t t = 0; t < n_tokens; ++t) {
      const size_t row = t * n_channels;
      for_lanes<V>(0, n_channels, [&](size_t c, auto lanes) {
        const V scale = one + (V::load(a + row + c, lanes) - one) * V::load(k_a + c, lanes);
        (V::load(k + row + c, lanes) * scale).store(y + row + c, lanes);
      });
    }
  }

  static void rwkv7_value_residual(const float* v, const float* v_first, const float* v_raw, size_t n, float* y) {
    for_lanes<V>(0, n, [&](size_t i, auto lanes) {
      const V own = V::load(v + i, lanes);
      const V share = sigmoid_of(V::load(v_raw + i, lanes));
      (own + (V::load(v_first + i, lanes) - own) * share).store(y + i, lanes);
    });
  }

  static void rwkv7_add_bonus(const Rwkv7BonusArgs& args) {
    const size_t n_head_rows = args.n_tokens * args.n_heads;
    for (size_t row = 0; row < n_head_rows; ++row) {
      const size_t at = row * args.head_size;
      const float* r = args.r + at;
      const float* k = args.k + at;
      const float* v = args.v + at;
      const float* r_k = args.r_k + (row % args.n_heads) * args.head_size;
      float* y = args.y + at;
      const V bonus = V::splat(sum_of<V>(args.head_size, [&](size_t i, auto lanes) {
        return (V::load(r + i, lanes) * V::load(k + i, lanes)) * V::load(r_k + i, lanes);
      }));
      for_lanes<V>(0, args.head_size, [&](size_t i, auto lanes) {
        (V::load(y + i, lanes) + bonus * V::load(v + i, lanes)).store(y + i, lanes);
      });
    }
  }
};

template <class V>
constexpr ElementwiseKernels elementwise_kernels() {
  using Body = ElementwiseBody<V>;
  return {
      .exp = Body::exp,
      .sigmoid = Body::sigmoid,
      .tanh = Body::tanh,
      .softplus = Body::softplus,
      .silu = Body::silu,
      .relu_squared = Body::relu_squared,
      .add = Body::add,
      .mul = Body::mul,
      .mul_silu = Body::mul_silu,
      .scale = Body::scale,
      .add_scaled = Body::add_scaled,
      .add_bias = Body::add_bias,
      .token_shift_lerp = Body::token_shift_lerp,
      .token_shift_ddlerp = Body::token_shift_ddlerp,
      .rwkv6_decay = Body::rwkv6_decay,
      .rwkv7_decay = Body::rwkv7_decay,
      .rwkv7_replacement_key = Body::rwkv7_replacement_key,
      .rwkv7_value_residual = Body::rwkv7_value_residual,
      .rwkv7_add_bonus = Body::rwkv7_add_bonus,
  };
}

}  // namespace
}  // namespace sutra::kernels
