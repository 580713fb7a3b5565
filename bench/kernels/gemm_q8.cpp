// The 8-bit products: small matrices, always from the cache.
#include "base/text.h"
#include "bench/kernels/bench.h"
#include "kernels/gemm_q8/variants.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_gemm_q8(const Bench& bench) {
  constexpr size_t kColumns = 2048;
  constexpr size_t kRows = 256;
  AlignedBuffer weights = allocate(q8_packed_bytes(kRows, kColumns).value());
  const Floats values = random_floats(kRows * kColumns, -0.5f, 0.5f);
  quantize_q8({values.data(), values.size()}, kRows, kColumns, weights.bytes());
  const Q8View w{weights.data(), kRows, kColumns};
  for (const Variant<GemmQ8Fn>& variant : kGemmQ8Variants) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, size_t{32}}) {
      const AlignedBuffer x_bytes =
          allocate(activation_bytes(n_tokens, kColumns, Q8View::group_size, Precision::kA14).value());
      const Activations x{const_cast<std::byte*>(x_bytes.data()), n_tokens, kColumns, Q8View::group_size,
                          Precision::kA14};
      quantize_activations(values.data(), x, 0, n_tokens);
      Floats y(n_tokens * kRows);
      const double seconds = seconds_of([&] { variant.fn(w, x, 0, kRows, y.data(), kRows); });
      bench.report.add("gemm_q8", variant.name, concat("A14 T=", n_tokens),
                       {{static_cast<double>(kRows * kColumns * n_tokens) / seconds * 1e-9, "GMAC/s"},
                        {static_cast<double>(weights.size()) / seconds * 1e-9, "GB/s"}});
    }
  }
}

}  // namespace sutra::bench
