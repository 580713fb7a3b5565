// The selective scan over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/selective_scan/selective_scan.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"

namespace sutra::kernels {
namespace {

// Channels in blocks outside, tokens inside, so that a block's A and h stay in the first-level cache over all tokens.
// Their rows often lie a multiple of 4 KiB apart, which is one set of that cache: for more than one token they are
// copied next to each other, sixteen states, Mamba-1's all, at a time. A block's tokens are several cache lines each,
// because a prefetcher follows neighbouring lines but no rows.
inline constexpr size_t kBlockChannels = 64;
inline constexpr size_t kBlockStates = 16;

struct ScanBlock {
  size_t channel, n_channels;
  size_t state, n_states;
  // Row s of the block's states at A + s · stride, h + s · stride.
  const float* A;
  float* h;
  size_t stride;
  float largest[kBlockChannels];  // of |A| over the block's states; NaN if one is
};

template <class V, class Lanes>
SUTRA_ALWAYS_INLINE V largest_magnitude(const ScanBlock& block, size_t i, Lanes lanes) {
  // As integers magnitudes keep their order, and NaN is above all.
  auto largest = V::bits(V::zero());
  for (size_t s = 0; s < block.n_states; ++s) {
    largest = V::max(largest, V::bits(V::abs(V::load(block.A + s * block.stride + i, lanes))));
  }
  return V::from_bits(largest);
}

// One token's step of some channels: h in place, returns y + Σ_s C[s] · h[s].
template <bool kNormal, class V, class Lanes>
SUTRA_ALWAYS_INLINE V scan_states(const ScanBlock& block, const float* B, const float* C, size_t i, V dt, V dt_u, V y,
                                  Lanes lanes) {
  const float* A = block.A + i;
  float* h = block.h + i;
  const size_t stride = block.stride, n_states = block.n_states;
  for (size_t s = 0; s < n_states; ++s) {
    const V x = dt * V::load(A, lanes);
    const V decay = kNormal ? exp_of_normal(x) : exp_of(x);
    const V next = decay * V::load(h, lanes) + dt_u * V::splat(B[s]);
    next.store(h, lanes);
    y = y + V::splat(C[s]) * next;
    A += stride;
    h += stride;
  }
  return y;
}

// y carries Σ_s from one block of states to the next.
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void scan_channels(const SelectiveScanArgs& args, const ScanBlock& block, size_t t, size_t i,
                                       Lanes lanes) {
  const size_t channel = block.channel + i;
  const size_t at = t * args.n_channels + channel;
  const float* B = args.B + t * args.bc_stride + block.state;
  const float* C = args.C + t * args.bc_stride + block.state;
  const V dt = V::load(args.dt + at, lanes);
  const V u = V::load(args.u + at, lanes);
  const V before = block.state == 0 ? V::zero() : V::load(args.y + at, lanes);
  // Rounding keeps order, so this bounds every dt · A.
  const V bound = V::abs(dt) * V::load(block.largest + i, lanes);
  V y = V::all_less(bound, V::constant(kExpNormal)) ? scan_states<true>(block, B, C, i, dt, dt * u, before, lanes)
                                                    : scan_states<false>(block, B, C, i, dt, dt * u, before, lanes);
  if (block.state + block.n_states == args.n_state) {
    y = y + V::load(args.D + channel, lanes) * u;
    if (args.z != nullptr) y = y * silu_of(V::load(args.z + t * args.z_stride + channel, lanes));
  }
  y.store(args.y + at, lanes);
}

template <class V>
SUTRA_ALWAYS_INLINE void copy_rows(const ScanBlock& block, const float* from, size_t from_stride, float* to,
                                   size_t to_stride) {
  for (size_t s = 0; s < block.n_states; ++s) {
    for_lanes<V>(0, block.n_channels, [&](size_t i, auto lanes) {
      V::load(from + s * from_stride + i, lanes).store(to + s * to_stride + i, lanes);
    });
  }
}

SUTRA_ALWAYS_INLINE void prefetch_token(const SelectiveScanArgs& args, const ScanBlock& block, size_t t) {
  const size_t at = t * args.n_channels + block.channel;
  prefetch(args.dt + at, block.n_channels);
  prefetch(args.u + at, block.n_channels);
  if (args.z != nullptr) prefetch(args.z + t * args.z_stride + block.channel, block.n_channels);
}

template <class V>
SUTRA_ALWAYS_INLINE void scan_block(const SelectiveScanArgs& args, ScanBlock& block) {
  float A_copy[kBlockStates * kBlockChannels], h_copy[kBlockStates * kBlockChannels];
  const size_t first = block.state * args.n_channels + block.channel;
  block.A = args.A + first;
  block.h = args.state + first;
  block.stride = args.n_channels;
  const bool copies = args.n_tokens > 1;
  if (copies) {
    copy_rows<V>(block, block.A, block.stride, A_copy, kBlockChannels);
    copy_rows<V>(block, block.h, block.stride, h_copy, kBlockChannels);
    block.A = A_copy;
    block.h = h_copy;
    block.stride = kBlockChannels;
  }
  for_lanes<V>(0, block.n_channels,
               [&](size_t i, auto lanes) { largest_magnitude<V>(block, i, lanes).store(block.largest + i, lanes); });
  for (size_t t = 0; t < args.n_tokens; ++t) {
    if (t + 1 < args.n_tokens) prefetch_token(args, block, t + 1);
    for_wide<Pair<V>, V>(0, block.n_channels,
                         [&]<class W>(size_t i, auto lanes) { scan_channels<W>(args, block, t, i, lanes); });
  }
  if (copies) copy_rows<V>(block, h_copy, kBlockChannels, args.state + first, args.n_channels);
}

template <class V>
void selective_scan_body(const SelectiveScanArgs& args) {
  ScanBlock block;
  for (block.channel = args.first_channel; block.channel < args.last_channel; block.channel += block.n_channels) {
    const size_t channels = args.last_channel - block.channel;
    block.n_channels = channels < kBlockChannels ? channels : kBlockChannels;
    block.state = 0;
    do {  // once even without states: D·u and the gate are there
      const size_t states = args.n_state - block.state;
      block.n_states = states < kBlockStates ? states : kBlockStates;
      scan_block<V>(args, block);
      block.state += block.n_states;
    } while (block.state < args.n_state);
  }
}

}  // namespace
}  // namespace sutra::kernels
