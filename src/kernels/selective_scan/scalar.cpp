// The specification of the selective scan.
#include "kernels/selective_scan/selective_scan.h"
#include "kernels/simd/f32x1.h"
#include "kernels/simd/math.h"

namespace sutra::kernels::scalar {

void selective_scan(const SelectiveScanArgs& args) {
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const float* B = args.B + t * args.bc_stride;
    const float* C = args.C + t * args.bc_stride;
    for (size_t d = args.first_channel; d < args.last_channel; ++d) {
      const float dt = args.dt[t * args.n_channels + d];
      const float u = args.u[t * args.n_channels + d];
      float y = 0.0f;
      for (size_t s = 0; s < args.n_state; ++s) {
        float& h = args.state[s * args.n_channels + d];
        h = exp_of(F32x1{dt * args.A[s * args.n_channels + d]}).v * h + (dt * u) * B[s];
        y += C[s] * h;
      }
      y += args.D[d] * u;
      if (args.z != nullptr) y *= silu_of(F32x1{args.z[t * args.z_stride + d]}).v;
      args.y[t * args.n_channels + d] = y;
    }
  }
}

}  // namespace sutra::kernels::scalar
