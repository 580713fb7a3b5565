#include "kernels/gemm_q4/self_test.h"

#include <bit>

#include "base/aligned_buffer.h"
#include "base/half.h"
#include "base/rng.h"
#include "kernels/activations/variants.h"

namespace sutra::kernels {
namespace {

constexpr size_t kRows = 24;
constexpr size_t kColumns = 77;
constexpr size_t kGroupSize = 32;
constexpr size_t kGroups = 3;
constexpr size_t kTokens = 7;  // a full tile of four, two and one

// Fixed pseudo-random weights; the first row has the largest integers, which no instruction may saturate.
Status pack_weights(std::span<std::byte> out) {
  uint8_t nibbles[kRows * kColumns];
  uint8_t zeros[kRows * kGroups];
  uint16_t scales[kRows * kGroups];
  Rng rng(2);
  for (size_t i = 0; i < kRows * kColumns; ++i)
    nibbles[i] = i < kColumns ? 15 : static_cast<uint8_t>(rng.next_u64() >> 60);
  for (uint8_t& zero : zeros) zero = static_cast<uint8_t>(rng.next_u64() >> 60);
  for (uint16_t& scale : scales) scale = f32_to_f16(static_cast<float>(rng.next_unit()));
  return pack_q4({nibbles, zeros, scales}, kRows, kColumns, kGroupSize, out);
}

Status check(std::span<const Variant<GemmQ4Fn>> variants, const Q4View& w, Precision precision) {
  float values[kTokens * kColumns];
  Rng rng(3);
  // The first token is all ones: its integers are the largest.
  for (size_t i = 0; i < kTokens * kColumns; ++i)
    values[i] = i < kColumns ? 1.0f : static_cast<float>(rng.next_unit() - 0.5);
  SUTRA_ASSIGN(const uint64_t bytes, activation_bytes(kTokens, kColumns, kGroupSize, precision));
  SUTRA_ASSIGN(AlignedBuffer buffer, AlignedBuffer::create(bytes));
  const Activations x{buffer.data(), kTokens, kColumns, kGroupSize, precision};
  for (size_t t = 0; t < kTokens; ++t) scalar::quantize_activations(values + t * kColumns, x, t);
  float expected[kTokens * kRows];
  float got[kTokens * kRows];
  scalar::gemm_q4(w, x, 0, kRows, expected, kRows);
  for (const auto& variant : variants) {
    if (!isa_available(variant.isa)) continue;
    variant.fn(w, x, 0, kRows, got, kRows);
    for (size_t i = 0; i < kTokens * kRows; ++i) {
      if (std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(expected[i])) {
        return fail(ErrorCode::kSelfTestFailed, "kernel gemm_q4, variant '", variant.name, "': row ", i % kRows, " is ",
                    static_cast<double>(got[i]), ", the scalar variant has ", static_cast<double>(expected[i]));
      }
    }
  }
  return {};
}

}  // namespace

Status self_test_gemm_q4(std::span<const Variant<GemmQ4Fn>> variants) {
  SUTRA_ASSIGN(const uint64_t bytes, q4_packed_bytes(kRows, kColumns, kGroupSize));
  SUTRA_ASSIGN(AlignedBuffer packed, AlignedBuffer::create(bytes));
  SUTRA_TRY(pack_weights(packed.bytes()));
  const Q4View w{packed.data(), kRows, kColumns, kGroupSize};
  SUTRA_TRY(check(variants, w, Precision::kA15));
  return check(variants, w, Precision::kA8);
}

}  // namespace sutra::kernels
