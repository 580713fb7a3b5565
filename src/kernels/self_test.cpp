#include "kernels/self_test.h"

#include "kernels/activations/self_test.h"
#include "kernels/float_self_test.h"
#include "kernels/gemm_q4/self_test.h"
#include "kernels/gemm_q8/self_test.h"

namespace sutra::kernels {

// One line a family; the float families are one.
Status self_test() {
  SUTRA_TRY(self_test_quantize_activations(kQuantizeActivationsVariants));
  SUTRA_TRY(self_test_gemm_q4(kGemmQ4Variants));
  SUTRA_TRY(self_test_gemm_q8(kGemmQ8Variants));
  return self_test_float_kernels();
}

}  // namespace sutra::kernels
