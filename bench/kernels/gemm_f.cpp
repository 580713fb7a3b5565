// The float products: small enough for the second-level cache, and too large for any.
#include <cstring>
#include <vector>

#include "base/half.h"
#include "base/text.h"
#include "bench/kernels/bench.h"
#include "kernels/gemm_f/gemm_f.h"

namespace sutra::bench {
namespace {

using namespace sutra::kernels;

constexpr size_t kColumns = 2048;
constexpr size_t kCachedRows = 128;
constexpr size_t kPieceRows = 1024;
constexpr size_t kStreamedRows = 32 * 1024;  // 134 MB of halves

// kCachedRows random rows, repeated.
AlignedBuffer weights_of(Dtype dtype, size_t n_rows) {
  const Floats values = random_floats(kCachedRows * kColumns, -0.04f, 0.04f);
  std::vector<uint16_t> halves;
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values.data()[i];
    halves.push_back(dtype == Dtype::kF16 ? f32_to_f16(value) : f32_to_bf16(value));
  }
  const size_t bytes = values.size() * dtype_bytes(dtype);
  AlignedBuffer buffer = allocate(bytes * (n_rows / kCachedRows));
  for (size_t at = 0; at < buffer.size(); at += bytes) {
    std::memcpy(buffer.data() + at, dtype == Dtype::kF32 ? static_cast<const void*>(values.data()) : halves.data(),
                bytes);
  }
  return buffer;
}

void measure(const Bench& bench, const Variant<GemmFKernel>& variant, Dtype dtype, size_t n_tokens, size_t n_rows,
             const AlignedBuffer& weights) {
  const Floats x = random_floats(n_tokens * kColumns, -1.0f, 1.0f);
  Floats y(n_tokens * n_rows);
  Pieces rows(n_rows, kPieceRows);
  const double seconds = seconds_of([&] {
    const size_t first = rows.next();
    variant.fn({.w = {weights.data(), dtype, n_rows, kColumns},
                .x = x.data(),
                .n_tokens = n_tokens,
                .first_row = first,
                .last_row = first + rows.piece(),
                .y = y.data(),
                .y_stride = n_rows});
  });
  const size_t n_weights = rows.piece() * kColumns;
  bench.report.add("gemm_f", variant.name,
                   concat(dtype_name(dtype), " T=", n_tokens, n_rows == kCachedRows ? " from cache" : " from memory"),
                   {{static_cast<double>(n_weights * n_tokens) / seconds * 1e-9, "GMAC/s"},
                    {static_cast<double>(n_weights * dtype_bytes(dtype)) / seconds * 1e-9, "GB/s"}});
}

}  // namespace

void measure_gemm_f(const Bench& bench) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16}) {
    const AlignedBuffer small = weights_of(dtype, kCachedRows);
    const AlignedBuffer large = weights_of(dtype, kStreamedRows);
    for (const Variant<GemmFKernel>& variant : gemm_f_variants()) {
      if (!bench.wants(variant.isa)) continue;
      measure(bench, variant, dtype, 1, kCachedRows, small);
      if (variant.isa == Isa::kScalar) continue;  // far from any memory limit
      measure(bench, variant, dtype, 1, kStreamedRows, large);
      measure(bench, variant, dtype, 32, kCachedRows, small);
    }
  }
}

}  // namespace sutra::bench
