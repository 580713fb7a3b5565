#include "kernels/gemm_q8/self_test.h"

#include <bit>

#include "base/aligned_buffer.h"
#include "base/rng.h"
#include "kernels/activations/variants.h"

namespace sutra::kernels {
namespace {

constexpr size_t kRows = 24;
constexpr size_t kColumns = 141;  // a whole group, and one with a ragged block
constexpr size_t kTokens = 7;     // a full tile of four, two and one

}  // namespace

Status self_test_gemm_q8(std::span<const Variant<GemmQ8Fn>> variants) {
  // Fixed pseudo-random numbers; the first row and the first token have the largest integers.
  float weights[kRows * kColumns];
  float values[kTokens * kColumns];
  Rng rng(4);
  for (size_t i = 0; i < std::size(weights); ++i)
    weights[i] = i < kColumns ? 1.0f : static_cast<float>(rng.next_unit() - 0.5);
  for (size_t i = 0; i < std::size(values); ++i)
    values[i] = i < kColumns ? 1.0f : static_cast<float>(rng.next_unit() - 0.5);

  SUTRA_ASSIGN(const uint64_t weight_bytes, q8_packed_bytes(kRows, kColumns));
  SUTRA_ASSIGN(AlignedBuffer packed, AlignedBuffer::create(weight_bytes));
  quantize_q8(weights, kRows, kColumns, packed.bytes());
  const Q8View w{packed.data(), kRows, kColumns};
  SUTRA_ASSIGN(const uint64_t x_bytes, activation_bytes(kTokens, kColumns, Q8View::group_size, Precision::kA14));
  SUTRA_ASSIGN(AlignedBuffer buffer, AlignedBuffer::create(x_bytes));
  const Activations x{buffer.data(), kTokens, kColumns, Q8View::group_size, Precision::kA14};
  for (size_t t = 0; t < kTokens; ++t) scalar::quantize_activations(values + t * kColumns, x, t);

  float expected[kTokens * kRows];
  float got[kTokens * kRows];
  scalar::gemm_q8(w, x, 0, kRows, expected, kRows);
  for (const auto& variant : variants) {
    if (!isa_available(variant.isa)) continue;
    variant.fn(w, x, 0, kRows, got, kRows);
    for (size_t i = 0; i < kTokens * kRows; ++i) {
      if (std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(expected[i])) {
        return fail(ErrorCode::kSelfTestFailed, "kernel gemm_q8, variant '", variant.name, "': row ", i % kRows, " is ",
                    static_cast<double>(got[i]), ", the scalar variant has ", static_cast<double>(expected[i]));
      }
    }
  }
  return {};
}

}  // namespace sutra::kernels
