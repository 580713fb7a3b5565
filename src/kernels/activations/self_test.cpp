#include "kernels/activations/self_test.h"

#include <cstring>

#include "base/aligned_buffer.h"
#include "base/rng.h"

namespace sutra::kernels {
namespace {

constexpr size_t kColumns = 77;  // full blocks, a ragged one, a ragged group
constexpr size_t kGroupSize = 32;

Status check(std::span<const Variant<QuantizeActivationsFn>> variants, Precision precision) {
  float x[kColumns];
  Rng rng(1);
  for (float& value : x) value = static_cast<float>(rng.next_unit() - 0.5);
  SUTRA_ASSIGN(const uint64_t bytes, activation_bytes(1, kColumns, kGroupSize, precision));
  SUTRA_ASSIGN(AlignedBuffer expected, AlignedBuffer::create(bytes));
  SUTRA_ASSIGN(AlignedBuffer got, AlignedBuffer::create(bytes));
  scalar::quantize_activations(x, {expected.data(), 1, kColumns, kGroupSize, precision}, 0);
  for (const auto& variant : variants) {
    if (!isa_available(variant.isa)) continue;
    std::memset(got.data(), 0, got.size());
    variant.fn(x, {got.data(), 1, kColumns, kGroupSize, precision}, 0);
    if (std::memcmp(got.data(), expected.data(), got.size()) != 0) {
      return fail(ErrorCode::kSelfTestFailed, "kernel quantize_activations, variant '", variant.name,
                  "': other bytes than the scalar variant's");
    }
  }
  return {};
}

}  // namespace

Status self_test_quantize_activations(std::span<const Variant<QuantizeActivationsFn>> variants) {
  SUTRA_TRY(check(variants, Precision::kA15));
  SUTRA_TRY(check(variants, Precision::kA8));
  return check(variants, Precision::kA14);
}

}  // namespace sutra::kernels
