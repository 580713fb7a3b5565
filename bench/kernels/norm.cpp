#include "kernels/norm/norm.h"

#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_norm(const Bench& bench) {
  constexpr size_t kChannels = 2048;
  const Floats x = random_floats(kChannels, -1.0f, 1.0f);
  Floats y(kChannels);
  for (const Variant<const NormKernels*>& variant : norm_variants()) {
    if (!bench.wants(variant.isa)) continue;
    const double seconds = seconds_of([&] {
      variant.fn->layer_norm({x.data(), 1, kChannels, x.data(), x.data(), 1e-5f, y.data()});
    });
    add_time(bench, "norm", variant.name, "layer_norm 2048", seconds, 4 * kChannels * sizeof(float));
  }
}

}  // namespace sutra::bench
