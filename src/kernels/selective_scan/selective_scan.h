// The selective scan of Mamba-1 over T tokens, per channel d with n states:
//
//   h_t[s] = exp(dt_t · A[s]) · h_{t−1}[s] + dt_t · u_t · B_t[s]
//   y_t    = (Σ_s C_t[s] · h_t[s] + D · u_t) · silu(z_t)            without z: no gate
//
// Shapes: u, dt, y [T,D] dense, dt after its softplus; z row t at z + t·z_stride; B and C row t at B + t·bc_stride,
// n values each (they are columns of x_proj's output). A [n][D] = −exp(A_log) transposed, D [D], state [n][D] in and
// out.
// Preconditions: first_channel ≤ last_channel ≤ D; y and state overlap nothing else. Only channels of the range are
// touched.
// Numerics: float32; Σ_s ascends from s = 0, D·u is added last; (dt·u) is rounded before it meets B. exp is that of
// elementwise.h. Channels are independent, so all variants, any channel range and any split of the tokens give the same
// bits.
// Source: Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", section 3
// (zero-order hold for A, Euler for B, as in the authors' code).
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

struct SelectiveScanArgs {
  const float* u;
  const float* dt;
  const float* A;
  const float* B;
  const float* C;
  size_t bc_stride;
  const float* D;
  const float* z;  // nullptr: no gate
  size_t z_stride;
  size_t n_tokens, n_channels, n_state;
  size_t first_channel, last_channel;
  float* state;
  float* y;
};

// Channel ranges are how threads share the work.
void selective_scan(const SelectiveScanArgs& args);

using SelectiveScanKernel = void (*)(const SelectiveScanArgs&);
std::span<const Variant<SelectiveScanKernel>> selective_scan_variants();

}  // namespace sutra::kernels
