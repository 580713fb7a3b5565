#include "bench/kernels/bench.h"
#include "kernels/activations/variants.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_quantize_activations(const Bench& bench) {
  constexpr size_t kColumns = 2048, kGroupSize = 128;
  const AlignedBuffer bytes = allocate(activation_bytes(1, kColumns, kGroupSize, Precision::kA15).value());
  const Activations x{const_cast<std::byte*>(bytes.data()), 1, kColumns, kGroupSize, Precision::kA15};
  const Floats values = random_floats(kColumns, -0.5f, 0.5f);
  for (const Variant<QuantizeActivationsFn>& variant : kQuantizeActivationsVariants) {
    if (!bench.wants(variant.isa)) continue;
    const double seconds = seconds_of([&] { variant.fn(values.data(), x, 0); });
    add_time(bench, "quantize_activations", variant.name, "A15 2048", seconds, kColumns * sizeof(float) + bytes.size());
  }
}

}  // namespace sutra::bench
