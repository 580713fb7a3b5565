// The 4-bit products: small enough for the second-level cache, and too large for any.
#include <cstring>

#include "base/rng.h"
#include "base/text.h"
#include "bench/kernels/bench.h"
#include "kernels/gemm_q4/variants.h"

namespace sutra::bench {
namespace {

using namespace sutra::kernels;

constexpr size_t kColumns = 2048;
constexpr size_t kGroupSize = 128;
constexpr size_t kCachedRows = 512;           // 0.5 MB packed
constexpr size_t kPieceRows = 4096;           // 4 MB: what is timed at once
constexpr size_t kStreamedRows = 256 * 1024;  // 275 MB packed

// Random nibbles; scales of 2^-8 and zero points of 8 in every group.
AlignedBuffer random_weights(size_t n_rows) {
  AlignedBuffer buffer = allocate(q4_packed_bytes(n_rows, kColumns, kGroupSize).value());
  Rng rng(1);
  for (uint64_t& word : buffer.as<uint64_t>()) word = rng.next_u64();
  constexpr size_t kNibbleBytes = kQ4TileRows * kGroupSize / 2;
  for (size_t at = 0; at < buffer.size(); at += kNibbleBytes + q4_tail_bytes(Q4Form::kZeros)) {
    std::byte* tail = buffer.data() + at + kNibbleBytes;
    for (size_t r = 0; r < kQ4TileRows; ++r) {
      const uint16_t scale = 0x1c00;
      std::memcpy(tail + r * sizeof scale, &scale, sizeof scale);
      tail[kQ4TileRows * sizeof scale + r] = std::byte{8};
    }
  }
  return buffer;
}

struct Case {
  Precision precision;
  size_t n_tokens;
};
constexpr Case kCases[] = {{Precision::kA15, 1}, {Precision::kA8, 1}, {Precision::kA15, 32}, {Precision::kA8, 32}};

void measure_product(const Bench& bench, const Variant<GemmQ4Fn>& variant, const Case& c, const AlignedBuffer& weights,
                     size_t n_rows) {
  const AlignedBuffer x_bytes = allocate(activation_bytes(c.n_tokens, kColumns, kGroupSize, c.precision).value());
  const Activations x{const_cast<std::byte*>(x_bytes.data()), c.n_tokens, kColumns, kGroupSize, c.precision};
  quantize_activations(random_floats(c.n_tokens * kColumns, -0.5f, 0.5f).data(), x, 0, c.n_tokens);
  Floats y(c.n_tokens * n_rows);
  const Q4View w{weights.data(), n_rows, kColumns, kGroupSize};
  Pieces rows(n_rows, kPieceRows);
  const double seconds = seconds_of([&] {
    const size_t first = rows.next();
    variant.fn(w, x, first, first + rows.piece(), y.data(), n_rows);
  });
  const double n_weights = static_cast<double>(rows.piece()) * kColumns;
  const double bytes =
      static_cast<double>(weights.size()) * (static_cast<double>(rows.piece()) / static_cast<double>(n_rows));
  bench.report.add(
      "gemm_q4", variant.name,
      concat(c.precision == Precision::kA15 ? "A15" : "A8", " T=", c.n_tokens,
             n_rows == kCachedRows ? " from cache" : " from memory"),
      {{n_weights * static_cast<double>(c.n_tokens) / seconds * 1e-9, "GMAC/s"}, {bytes / seconds * 1e-9, "GB/s"}});
}

}  // namespace

void measure_gemm_q4(const Bench& bench) {
  const AlignedBuffer small = random_weights(kCachedRows);
  const AlignedBuffer large = random_weights(kStreamedRows);
  for (const Variant<GemmQ4Fn>& variant : kGemmQ4Variants) {
    if (!bench.wants(variant.isa)) continue;
    for (const Case& c : kCases) {
      measure_product(bench, variant, c, small, kCachedRows);
      // The scalar product is far from any memory limit.
      if (variant.isa != Isa::kScalar && c.n_tokens == 1) measure_product(bench, variant, c, large, kStreamedRows);
    }
  }
}

}  // namespace sutra::bench
