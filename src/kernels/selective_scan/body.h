// The selective scan over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/selective_scan/selective_scan.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"

namespace sutra::kernels {
namespace {

// States are taken sixteen at a time, Mamba-1's whole state. Their A and h are copied next to each other for the walk
// over the tokens: in memory they are rows that often lie a multiple of 4 KiB apart, which is one set of the cache.
inline constexpr size_t kStateBlock = 16;

// One vector of channels over all tokens for the states from `first_state` on. y carries Σ_s from block to block.
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void scan_channels(const SelectiveScanArgs& args, size_t channel, size_t first_state, Lanes lanes) {
  const size_t stride = args.n_channels;
  const size_t rest = args.n_state - first_state;
  const size_t n = rest < kStateBlock ? rest : kStateBlock;
  const bool is_first = first_state == 0;
  const bool is_last = rest <= kStateBlock;
  V A[kStateBlock], h[kStateBlock];
  for (size_t s = 0; s < n; ++s) {
    A[s] = V::load(args.A + (first_state + s) * stride + channel, lanes);
    h[s] = V::load(args.state + (first_state + s) * stride + channel, lanes);
  }
  const V D = V::load(args.D + channel, lanes);
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const size_t at = t * stride + channel;
    const float* B = args.B + t * args.bc_stride + first_state;
    const float* C = args.C + t * args.bc_stride + first_state;
    const V dt = V::load(args.dt + at, lanes);
    const V u = V::load(args.u + at, lanes);
    const V dt_u = dt * u;
    V y = is_first ? V::zero() : V::load(args.y + at, lanes);
    for (size_t s = 0; s < n; ++s) {
      h[s] = exp_of(dt * A[s]) * h[s] + dt_u * V::splat(B[s]);
      y = y + V::splat(C[s]) * h[s];
    }
    if (is_last) {
      y = y + D * u;
      if (args.z != nullptr) y = y * silu_of(V::load(args.z + t * args.z_stride + channel, lanes));
    }
    y.store(args.y + at, lanes);
  }
  for (size_t s = 0; s < n; ++s) h[s].store(args.state + (first_state + s) * stride + channel, lanes);
}

template <class V>
void selective_scan_body(const SelectiveScanArgs& args) {
  for_lanes<V>(args.first_channel, args.last_channel, [&](size_t channel, auto lanes) {
    size_t first_state = 0;
    do {  // once even without states: D·u and the gate are there
      scan_channels<V>(args, channel, first_state, lanes);
      first_state += kStateBlock;
    } while (first_state < args.n_state);
  });
}

}  // namespace
}  // namespace sutra::kernels
