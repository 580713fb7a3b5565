// The SSD recurrence over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"
#include "kernels/ssd/ssd.h"

namespace sutra::kernels {
namespace {

// Lanes are values; a head's state, 32 KB in the published models, stays in the first-level cache over all tokens. The
// sum over states is one chain of additions for each vector of values.

// One token's rows of one head.
struct SsdRows {
  size_t n_values, n_state;
  const float* x;
  const float* B;
  const float* C;
  float dt, A, D;
  float* state;
  float* y;
};

template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void ssd_values(const SsdRows& rows, float decay_factor, size_t p, Lanes lanes) {
  const V x = V::load(rows.x + p, lanes);
  const V dt_x = V::splat(rows.dt) * x;
  const V decay = V::splat(decay_factor);
  float* state = rows.state + p;
  V y = V::zero();
  for (size_t s = 0; s < rows.n_state; ++s) {
    const V next = decay * V::load(state, lanes) + dt_x * V::splat(rows.B[s]);
    next.store(state, lanes);
    y = y + V::splat(rows.C[s]) * next;
    state += rows.n_values;
  }
  (y + V::splat(rows.D) * x).store(rows.y + p, lanes);
}

template <class V>
SUTRA_ALWAYS_INLINE void ssd_step(const SsdRows& rows) {
  float decay[V::kLanes];  // the same number in each
  exp_of(V::splat(rows.dt * rows.A)).store(decay, AllLanes{});
  for_wide<Pair<Pair<V>>, V>(0, rows.n_values,
                             [&]<class W>(size_t p, auto lanes) { ssd_values<W>(rows, decay[0], p, lanes); });
}

template <class V>
void ssd_body(const SsdArgs& args) {
  const size_t n_values = args.head_dim, n_state = args.n_state;
  for (size_t head = args.first_head; head < args.last_head; ++head) {
    const size_t group = head / (args.n_heads / args.n_groups);
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const size_t row = t * args.stride;
      ssd_step<V>({n_values, n_state, args.x + row + head * n_values, args.B + row + group * n_state,
                   args.C + row + group * n_state, args.dt[t * args.n_heads + head], args.A[head], args.D[head],
                   args.state + head * n_state * n_values, args.y + (t * args.n_heads + head) * n_values});
    }
  }
}

}  // namespace
}  // namespace sutra::kernels
