// The WKV-4 recurrence over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"
#include "kernels/wkv/wkv4.h"

namespace sutra::kernels {
namespace {

// Lanes are channels; their state stays in registers over all tokens.
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void wkv4_channels(const Wkv4Args& args, size_t c, Lanes lanes) {
  const V w = V::load(args.w + c, lanes), u = V::load(args.u + c, lanes);
  V aa = V::load(args.aa + c, lanes), bb = V::load(args.bb + c, lanes), pp = V::load(args.pp + c, lanes);
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const size_t at = t * args.n_channels + c;
    const V k = V::load(args.k + at, lanes), v = V::load(args.v + at, lanes);
    const V now = u + k;
    const V p_now = V::max(pp, now);
    const V before_share = exp_of(pp - p_now), now_share = exp_of(now - p_now);
    ((before_share * aa + now_share * v) / (before_share * bb + now_share)).store(args.y + at, lanes);
    const V decayed = pp + w;
    pp = V::max(decayed, k);
    const V old_share = exp_of(decayed - pp), new_share = exp_of(k - pp);
    aa = old_share * aa + new_share * v;
    bb = old_share * bb + new_share;
  }
  aa.store(args.aa + c, lanes);
  bb.store(args.bb + c, lanes);
  pp.store(args.pp + c, lanes);
}

template <class V>
void wkv4_body(const Wkv4Args& args) {
  for_wide<Pair<V>, V>(args.first_channel, args.last_channel,
                       [&]<class W>(size_t c, auto lanes) { wkv4_channels<W>(args, c, lanes); });
}

}  // namespace
}  // namespace sutra::kernels
