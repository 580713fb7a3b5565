// The normalisations over any vector type; every variant, the scalar one included, is an instance.
#pragma once

#include "kernels/norm/norm.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

template <class V>
struct NormBody {
  // One row: y = (x − mean) / √(var + eps) · weight + bias.
  static SUTRA_ALWAYS_INLINE void standardize(const float* x, size_t n, const float* weight, const float* bias,
                                              float eps, float* y) {
    const float count = static_cast<float>(n);
    const V mean = V::splat(sum_of<V>(n, [&](size_t i, auto lanes) { return V::load(x + i, lanes); }) / count);
    const float squares = sum_of<V>(n, [&](size_t i, auto lanes) {
      const V centred = V::keep(V::load(x + i, lanes) - mean, lanes);
      return centred * centred;
    });
    const V scale = V::splat(1.0f / __builtin_sqrtf(squares / count + eps));
    for_lanes<V>(0, n, [&](size_t i, auto lanes) {
      const V unit = (V::load(x + i, lanes) - mean) * scale;
      (unit * V::load(weight + i, lanes) + V::load(bias + i, lanes)).store(y + i, lanes);
    });
  }

  static void layer_norm(const LayerNormArgs& args) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const size_t row = t * args.n_channels;
      standardize(args.x + row, args.n_channels, args.weight, args.bias, args.eps, args.y + row);
    }
  }

  static void group_norm(const GroupNormArgs& args) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      for (size_t h = 0; h < args.n_heads; ++h) {
        const size_t head = h * args.head_size;
        const size_t row = t * args.n_heads * args.head_size + head;
        standardize(args.x + row, args.head_size, args.weight + head, args.bias + head, args.eps, args.y + row);
      }
    }
  }

  static void rms_norm(const RmsNormArgs& args) {
    const size_t n = args.n_channels;
    const float count = static_cast<float>(n);
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const float* x = args.x + t * n;
      float* y = args.y + t * n;
      const float squares = sum_of<V>(n, [&](size_t i, auto lanes) {
        const V value = V::load(x + i, lanes);
        return value * value;
      });
      const V scale = V::splat(1.0f / __builtin_sqrtf(squares / count + args.eps));
      if (args.weight == nullptr) {
        for_lanes<V>(0, n, [&](size_t i, auto lanes) { (V::load(x + i, lanes) * scale).store(y + i, lanes); });
      } else {
        for_lanes<V>(0, n, [&](size_t i, auto lanes) {
          ((V::load(x + i, lanes) * scale) * V::load(args.weight + i, lanes)).store(y + i, lanes);
        });
      }
    }
  }

  // One head: u = x ⊙ weight is written to y first, so that it is computed once.
  static SUTRA_ALWAYS_INLINE void normalize(size_t n, float* y) {
    const float squares = sum_of<V>(n, [&](size_t i, auto lanes) {
      const V value = V::load(y + i, lanes);
      return value * value;
    });
    const V scale = V::splat(1.0f) / V::max(V::splat(1e-12f), V::splat(__builtin_sqrtf(squares)));
    for_lanes<V>(0, n, [&](size_t i, auto lanes) { (V::load(y + i, lanes) * scale).store(y + i, lanes); });
  }

  static void l2_normalize(const L2NormalizeArgs& args) {
    const size_t n = args.head_size;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      for (size_t h = 0; h < args.n_heads; ++h) {
        const float* x = args.x + (t * args.n_heads + h) * n;
        float* y = args.y + (t * args.n_heads + h) * n;
        for_lanes<V>(0, n, [&](size_t i, auto lanes) {
          const V value = V::load(x + i, lanes);
          (args.weight == nullptr ? value : value * V::load(args.weight + h * n + i, lanes)).store(y + i, lanes);
        });
        normalize(n, y);
      }
    }
  }
};

template <class V>
constexpr NormKernels norm_kernels() {
  using Body = NormBody<V>;
  return {
      .layer_norm = Body::layer_norm,
      .rms_norm = Body::rms_norm,
      .group_norm = Body::group_norm,
      .l2_normalize = Body::l2_normalize,
  };
}

}  // namespace
}  // namespace sutra::kernels
