// Speed of every kernel family, one thread, on stdout: one row for each family, variant and case.
//
//   sutra_kernel_bench [--family NAME] [--isa NAME] [--csv MACHINE]
//   sutra_kernel_bench --family awq [--threads N] …
//
// Default: everything that runs here, as one JSON object. --csv writes lines for bench/results/MACHINE.csv instead.
// --threads is for that family alone, which is work of a pool.
// "us" is the time of one call, "GB/s" the bytes that it must move at least once. The family "limits" is what the
// machine can do at best.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/rng.h"
#include "bench/kernels/bench.h"
#include "kernels/self_test.h"

namespace sutra::bench {
namespace {

struct Family {
  std::string_view name;
  void (*measure)(const Bench&);
};
constexpr Family kFamilies[] = {
    {"limits", measure_limits},
    {"gemm_q4", measure_gemm_q4},
    {"gemm_q8", measure_gemm_q8},
    {"quantize_activations", measure_quantize_activations},
    {"gemm_f", measure_gemm_f},
    {"wkv7", measure_wkv7},
    {"selective_scan", measure_selective_scan},
    {"ssd", measure_ssd},
    {"attention", measure_attention},
    {"conv1d", measure_conv1d},
    {"norm", measure_norm},
    {"elementwise", measure_elementwise},
    {"awq", measure_awq},
};

int fail_with(std::string_view message) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
  return 2;
}

int run(int argc, char** argv) {
  std::string_view family, isa, machine;
  size_t n_threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--family") family = argv[i + 1];
    if (option == "--isa") isa = argv[i + 1];
    if (option == "--csv") machine = argv[i + 1];
    if (option == "--threads") n_threads = std::strtoul(argv[i + 1], nullptr, 10);
  }
  const bool given = !family.empty() || !isa.empty() || !machine.empty();
  // The other families measure one thread, whatever is asked for.
  const bool has_threads = n_threads == 1 || (n_threads > 1 && family == "awq");
  if (argc % 2 == 0 || (argc > 1 && !given) || !has_threads) {
    return fail_with(
        "usage: sutra_kernel_bench [--family NAME] [--isa NAME] [--csv MACHINE]; --family awq [--threads N]");
  }
  if (!isa.empty()) {
    const auto parsed = kernels::parse_isa(isa);
    const Status status = parsed ? kernels::force_isa(*parsed) : Status(std::unexpected(parsed.error()));
    if (!status) return fail_with(status.error().message);
  }
  // The speed of wrong results is worth nothing.
  if (const Status status = kernels::self_test(); !status) return fail_with(status.error().message);

  Report report{std::string(machine)};
  report.begin(n_threads);
  for (const Family& each : kFamilies) {
    if (family.empty() || family == each.name) each.measure({report, isa, n_threads});
  }
  report.end();
  return 0;
}

}  // namespace

AlignedBuffer allocate(uint64_t bytes) {
  auto buffer = AlignedBuffer::create(bytes);
  if (!buffer) std::exit(fail_with(buffer.error().message));
  return std::move(*buffer);
}

Floats random_floats(size_t n, float low, float high) {
  Rng rng(n);
  Floats values(n);
  for (size_t i = 0; i < n; ++i) values.data()[i] = low + (high - low) * static_cast<float>(rng.next_unit());
  return values;
}

void add_time(const Bench& bench, std::string_view family, std::string_view variant, std::string_view case_name,
              double seconds, size_t bytes) {
  bench.report.add(family, variant, case_name,
                   {{seconds * 1e6, "us"}, {static_cast<double>(bytes) / seconds * 1e-9, "GB/s"}});
}

}  // namespace sutra::bench

int main(int argc, char** argv) { return sutra::bench::run(argc, argv); }
