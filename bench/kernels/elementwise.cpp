#include "kernels/elementwise/elementwise.h"

#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_elementwise(const Bench& bench) {
  constexpr size_t kChannels = 2048, kMixes = 6;
  const Floats x = random_floats(kChannels, -4.0f, 4.0f);
  Floats y(kMixes * kChannels);
  TokenShiftMix mixes[kMixes];
  for (size_t m = 0; m < kMixes; ++m) mixes[m] = {x.data(), y.data() + m * kChannels};
  for (const Variant<const ElementwiseKernels*>& variant : elementwise_variants()) {
    if (!bench.wants(variant.isa)) continue;
    const ElementwiseKernels& f = *variant.fn;
    const auto unary = [&](std::string_view name, ElementwiseKernels::Unary kernel) {
      const double seconds = seconds_of([&] { kernel(x.data(), kChannels, y.data()); });
      add_time(bench, "elementwise", variant.name, name, seconds, 2 * kChannels * sizeof(float));
    };
    unary("exp 2048", f.exp);
    unary("sigmoid 2048", f.sigmoid);
    unary("tanh 2048", f.tanh);
    unary("softplus 2048", f.softplus);
    const double seconds = seconds_of([&] { f.token_shift_lerp({x.data(), x.data(), 1, kChannels, mixes, kMixes}); });
    add_time(bench, "elementwise", variant.name, "token_shift_lerp 6 x 2048", seconds,
             (2 + 2 * kMixes) * kChannels * sizeof(float));
  }
}

}  // namespace sutra::bench
