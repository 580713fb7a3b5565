// The WKV-4 recurrence of RWKV-4 over T tokens, per channel: an average of values weighted by e^k, older ones decayed.
//
//   y_t = (e^{pp − p} aa + e^{u + k_t − p} v_t) / (e^{pp − p} bb + e^{u + k_t − p})        p = max(pp, u + k_t)
//   aa ← e^{pp + w − p} aa + e^{k_t − p} v_t,   bb ← e^{pp + w − p} bb + e^{k_t − p},   pp ← p = max(pp + w, k_t)
//
// aa and bb are numerator and denominator, both divided by e^pp: pp is the largest exponent so far, so that nothing
// overflows. Before the first token aa = bb = 0 and pp = kWkv4InitialExponent.
// Shapes: k, v, y [T, C]; w, u [C], w = −exp(time_decay) ≤ 0; aa, bb, pp [C], in and out.
// Preconditions: first_channel ≤ last_channel ≤ C; y may be v; other overlaps are not allowed. Only the channels of the
// range are touched.
// Numerics: float32, in the order written. Channels are independent, so all variants, any channel range and any split of
// the tokens give the same bits.
// Source: Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", section 3 and appendix D.
#pragma once

#include <cstddef>

namespace sutra::kernels {

// e to its power is 0 beside any e^k.
inline constexpr float kWkv4InitialExponent = -1e30f;

struct Wkv4Args {
  const float* w;
  const float* u;
  const float* k;
  const float* v;
  size_t n_tokens, n_channels;
  size_t first_channel, last_channel;
  float* aa;
  float* bb;
  float* pp;
  float* y;
};

void wkv4(const Wkv4Args& args);

}  // namespace sutra::kernels
