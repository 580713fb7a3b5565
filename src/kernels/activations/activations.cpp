#include "kernels/activations/activations.h"

#include <limits>

#include "base/assert.h"
#include "kernels/activations/variants.h"
#include "kernels/gemm_q4/layout.h"

namespace sutra::kernels {

Result<uint64_t> activation_bytes(uint64_t n_tokens, uint64_t n_cols, uint64_t group_size, Precision precision) {
  if (!q4_group_size_supported(group_size)) {
    return fail(ErrorCode::kInvalidArgument, "4-bit group size ", group_size, " is none of 32, 64, 128");
  }
  // At most 4 bytes a column and 8 a group of 32 columns, plus padding: a column count below an eighth of the address
  // space cannot wrap token_bytes.
  const bool wraps = n_cols > std::numeric_limits<size_t>::max() / 8;
  const Activations one{nullptr, 1, wraps ? 0 : static_cast<size_t>(n_cols), static_cast<size_t>(group_size),
                        precision};
  const auto total = checked_mul(n_tokens, one.token_bytes());
  if (wraps || !total || !fits_size_t(*total)) {
    return fail(ErrorCode::kTooLarge, "quantised activations [", n_tokens, ", ", n_cols,
                "] do not fit the address space");
  }
  return *total;
}

void quantize_activations(const float* x, const Activations& out, size_t first_token, size_t last_token) {
  SUTRA_ASSERT(q4_group_size_supported(out.group_size));
  SUTRA_ASSERT(first_token <= last_token && last_token <= out.n_tokens);
  const QuantizeActivationsFn quantize = select(kQuantizeActivationsVariants);
  for (size_t token = first_token; token < last_token; ++token) quantize(x + token * out.n_cols, out, token);
}

}  // namespace sutra::kernels
