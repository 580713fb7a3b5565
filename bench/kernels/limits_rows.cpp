// What the machine can do at best: the yardstick beside the kernels' rows.
#include <cstring>

#include "bench/kernels/bench.h"
#include "bench/kernels/limits.h"

namespace sutra::bench {
namespace {

using kernels::Isa;

constexpr size_t kSteps = 1 << 14;

// A result that the optimizer must compute.
template <class T>
void keep(T value) {
  [[maybe_unused]] volatile T kept = value;
}

void measure_reads(const Bench& bench, Isa isa, const AlignedBuffer& large) {
  const std::span<const std::byte> all = large.bytes();
  uint64_t sink = 0;
  const auto gigabytes = [&](size_t bytes, size_t piece) {
    Pieces pieces(bytes, piece);
    const double seconds = seconds_of([&] { sink += stream_read(isa, all.subspan(pieces.next(), pieces.piece())); });
    return static_cast<double>(pieces.piece()) / seconds * 1e-9;
  };
  bench.report.add("limits", isa_name(isa), "read from memory", {{gigabytes(all.size(), 4 << 20), "GB/s"}});
  bench.report.add("limits", isa_name(isa), "read from cache", {{gigabytes(1 << 19, 1 << 19), "GB/s"}});
  keep(sink);
}

void measure_peak(const Bench& bench, Isa isa, const Peak& peak) {
  if (peak.run == nullptr) return;
  int64_t sink = 0;
  const double seconds = seconds_of([&] { sink += peak.run(kSteps); });
  keep(sink);
  bench.report.add("limits", isa_name(isa), peak.instruction,
                   {{static_cast<double>(peak.macs_per_step * kSteps) / seconds * 1e-9, "GMAC/s"}});
}

}  // namespace

void measure_limits(const Bench& bench) {
  AlignedBuffer large = allocate(256 << 20);
  std::memset(large.data(), 1, large.size());  // pages that were never written are all the same one
  for (const Isa isa : kernels::kAllIsas) {
    if (!bench.wants(isa)) continue;
    measure_reads(bench, isa, large);
    measure_peak(bench, isa, dot_peak(isa));
    measure_peak(bench, isa, f32_peak(isa));
  }
}

}  // namespace sutra::bench
