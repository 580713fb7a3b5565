// Rotary position embeddings over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/rope/rope.h"
#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

template <class V>
void rope_body(const RopeArgs& args) {
  const size_t half = args.rotary_dim / 2;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const float* cos = args.cos + t * half;
    const float* sin = args.sin + t * half;
    for (size_t head = 0; head < args.n_heads; ++head) {
      float* x = args.x + t * args.stride + head * args.head_dim;
      for_lanes<V>(0, half, [&](size_t i, auto lanes) {
        const V c = V::load(cos + i, lanes), s = V::load(sin + i, lanes);
        const V a = V::load(x + i, lanes), b = V::load(x + half + i, lanes);
        (a * c - b * s).store(x + i, lanes);
        (b * c + a * s).store(x + half + i, lanes);
      });
    }
  }
}

}  // namespace
}  // namespace sutra::kernels
