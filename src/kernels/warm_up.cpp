#include "kernels/warm_up.h"

#include <array>

#include "base/aligned_buffer.h"
#include "kernels/gemm_q4/gemm_q4.h"
#include "kernels/gemm_q8/gemm_q8.h"

namespace sutra::kernels {
namespace {

constexpr size_t kRows = 128;
constexpr size_t kColumns = 1024;
// V8 replaces a function after it has run about 13 MB of code; a row tile and group are some 10 KB.
constexpr int kRounds = 40;

}  // namespace

Status warm_up() {
  SUTRA_ASSIGN(const uint64_t q4_bytes, q4_packed_bytes(kRows, kColumns, kQ4MaxGroupSize));
  SUTRA_ASSIGN(const uint64_t q8_bytes, q8_packed_bytes(kRows, kColumns));
  SUTRA_ASSIGN(const uint64_t x_bytes, activation_bytes(1, kColumns, kQ4MaxGroupSize, Precision::kA15));
  // Weights of zero: their numbers do not matter.
  SUTRA_ASSIGN(const AlignedBuffer q4, AlignedBuffer::create(q4_bytes));
  SUTRA_ASSIGN(const AlignedBuffer q8, AlignedBuffer::create(q8_bytes));
  SUTRA_ASSIGN(AlignedBuffer x, AlignedBuffer::create(x_bytes));
  std::array<float, kColumns> values;
  values.fill(1.0f);
  std::array<float, kRows> y;
  const Activations a15{x.data(), 1, kColumns, kQ4MaxGroupSize, Precision::kA15};
  const Activations a14{x.data(), 1, kColumns, Q8View::group_size, Precision::kA14};
  for (int round = 0; round < kRounds; ++round) {
    quantize_activations(values.data(), a15, 0, 1);
    gemm_q4({q4.data(), kRows, kColumns, kQ4MaxGroupSize}, a15, 0, kRows, y.data(), kRows);
    quantize_activations(values.data(), a14, 0, 1);
    gemm_q8({q8.data(), kRows, kColumns}, a14, 0, kRows, y.data(), kRows);
  }
  return {};
}

}  // namespace sutra::kernels
