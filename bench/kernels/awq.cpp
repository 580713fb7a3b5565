// Quantising one 512 × 512 matrix whose inputs were measured: the searches, the rounding and the packing.
#include <optional>

#include "base/text.h"
#include "bench/kernels/bench.h"
#include "kernels/rounding/rounding.h"
#include "quant/awq_format.h"
#include "quant/awq_search.h"
#include "quant/gptq.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_awq(const Bench& bench) {
  constexpr size_t kSize = 512, kTokens = 1024, kChunk = 64;
  const Floats weights = random_floats(kSize * kSize, -0.1f, 0.1f);
  const Floats x = random_floats(kTokens * kSize, -1.0f, 2.0f);
  ThreadPool pool(bench.n_threads);
  auto input = InputStatistics::create(kSize, kTokens);
  for (size_t t = 0; input && t < kTokens; t += kChunk) {
    if (!input->add({x.data() + t * kSize, kChunk * kSize})) return;
  }
  if (!input) return;
  const CalibratedMatrix matrix{{weights.data(), kSize * kSize}, kSize, &*input};
  const RoundingFormat format;
  for (const Variant<const RoundingKernels*>& variant : rounding_variants()) {
    if (!bench.wants(variant.isa)) continue;
    if (!force_isa(variant.isa)) continue;
    const auto add = [&](const char* what, const auto& body) {
      add_time(bench, "awq", variant.name, concat(kSize, " x ", kSize, ' ', what), seconds_of(body),
               kSize * kSize * sizeof(float));
    };
    add("scales", [&] { return search_scales({&matrix, 1}, {}, format, pool); });
    add("limits", [&] { return search_limits(matrix, format, pool); });
    const std::vector<float> limits = search_limits(matrix, format, pool);
    add("rounding and packing", [&] { return to_awq(quantize_gptq(matrix, format, limits, pool)); });
    add("all three", [&] {
      (void)search_scales({&matrix, 1}, {}, format, pool);
      return to_awq(quantize_gptq(matrix, format, search_limits(matrix, format, pool), pool));
    });
    add("statistics of 64 tokens", [&] { return input->add({x.data(), kChunk * kSize}); });
  }
  if (!force_isa(std::nullopt)) return;
}

}  // namespace sutra::bench
