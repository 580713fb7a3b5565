#include "kernels/self_test.h"

#include <catch2/catch_test_macros.hpp>

#include "kernels/activations/self_test.h"
#include "kernels/gemm_q4/self_test.h"

using namespace sutra;
using namespace sutra::kernels;

namespace {

// What one engine's relaxed dot product amounts to.
void twice_the_product(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y,
                       size_t y_stride) {
  scalar::gemm_q4(w, x, first_row, last_row, y, y_stride);
  for (size_t i = 0; i < x.n_tokens * y_stride; ++i) y[i] *= 2.0f;
}

void truncating_quantizer(const float* x, const Activations& out, size_t token) {
  scalar::quantize_activations(x, out, token);
  out.pairs(token)[0] = static_cast<int16_t>(out.pairs(token)[0] - 1);
}

}  // namespace

TEST_CASE("the self-test passes on this machine") {
  const Status status = self_test();
  CHECK((status ? "" : status.error().message) == "");
}

TEST_CASE("the self-test names a product variant that returns twice the right value") {
  const Variant<GemmQ4Fn> variants[] = {{Isa::kScalar, "scalar", scalar::gemm_q4},
                                        {Isa::kScalar, "doubled", twice_the_product}};
  const Status status = self_test_gemm_q4(variants);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == ErrorCode::kSelfTestFailed);
  CHECK(status.error().message.starts_with("kernel gemm_q4, variant 'doubled': row 0 is "));
}

TEST_CASE("the self-test names a quantiser variant with other bytes") {
  const Variant<QuantizeActivationsFn> variants[] = {{Isa::kScalar, "truncating", truncating_quantizer}};
  const Status status = self_test_quantize_activations(variants);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == ErrorCode::kSelfTestFailed);
  CHECK(status.error().message ==
        "kernel quantize_activations, variant 'truncating': other bytes than the scalar variant's");
}
