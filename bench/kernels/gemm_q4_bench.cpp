// Speed of the 4-bit products, one thread, as one JSON object on stdout.
//
//   sutra_kernel_bench [--isa NAME]      default: every variant that runs here
//
// GMAC/s of every variant, precision, token count and weight placement (small enough for the second-level cache, or too
// large for any), beside what the machine can do at best: streaming read in GB/s and the dot product on registers.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/rng.h"
#include "bench/kernels/limits.h"
#include "kernels/gemm_q4/variants.h"
#include "kernels/quantize_q4/variants.h"

namespace sutra::bench {
namespace {

using namespace sutra::kernels;

constexpr size_t kColumns = 2048;
constexpr size_t kGroupSize = 128;
constexpr size_t kCachedRows = 512;           // 0.5 MB packed
constexpr size_t kPieceRows = 4096;           // 4 MB: what is timed at once
constexpr size_t kStreamedRows = 256 * 1024;  // 275 MB packed

// Seconds of one call: the best of 300 samples of about 1 ms. Whatever else runs on the machine, on this core's other
// thread too, only adds time, and samples shorter than a scheduler's time slice can miss it.
template <class Body>
double seconds_of(const Body& body) {
  using Clock = std::chrono::steady_clock;
  const auto time = [&](size_t n) {
    const auto start = Clock::now();
    for (size_t i = 0; i < n; ++i) body();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  // Long enough for an engine to replace its first, unoptimised code.
  for (double warm_up = 0; warm_up < 0.3;) warm_up += time(1);
  const double once = std::min({time(1), time(1), time(1)});
  const size_t n = static_cast<size_t>(std::max(1.0, 1e-3 / std::max(once, 1e-9)));
  double best = once;
  for (int sample = 0; sample < 300; ++sample) best = std::min(best, time(n) / static_cast<double>(n));
  return best;
}

// A buffer too large for any cache, visited in pieces short enough to be timed.
class Pieces {
 public:
  Pieces(size_t size, size_t piece) : size_(size), piece_(std::min(size, piece)) {}
  [[nodiscard]] size_t piece() const { return piece_; }
  // Start of the next piece.
  size_t next() {
    const size_t start = at_;
    at_ = at_ + 2 * piece_ <= size_ ? at_ + piece_ : 0;
    return start;
  }

 private:
  size_t size_;
  size_t piece_;
  size_t at_ = 0;
};

AlignedBuffer allocate(uint64_t bytes) {
  auto buffer = AlignedBuffer::create(bytes);
  if (!buffer) {
    std::fprintf(stderr, "%s\n", buffer.error().message.c_str());
    std::exit(1);
  }
  return std::move(*buffer);
}

// Random nibbles; scales of 2^-8 and zero points of 8 in every group.
AlignedBuffer random_weights(size_t n_rows) {
  AlignedBuffer buffer = allocate(q4_packed_bytes(n_rows, kColumns, kGroupSize).value());
  Rng rng(1);
  for (uint64_t& word : buffer.as<uint64_t>()) word = rng.next_u64();
  constexpr size_t kNibbleBytes = kQ4TileRows * kGroupSize / 2;
  for (size_t at = 0; at < buffer.size(); at += kNibbleBytes + kQ4GroupTailBytes) {
    std::byte* tail = buffer.data() + at + kNibbleBytes;
    for (size_t r = 0; r < kQ4TileRows; ++r) {
      const uint16_t scale = 0x1c00;
      std::memcpy(tail + r * sizeof scale, &scale, sizeof scale);
      tail[kQ4TileRows * sizeof scale + r] = std::byte{8};
    }
  }
  return buffer;
}

class JsonLines {
 public:
  void add(const std::string& line) {
    std::printf("%s%s", first_ ? "" : ",\n    ", line.c_str());
    std::fflush(stdout);
    first_ = false;
  }

 private:
  bool first_ = true;
};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

void measure_limits(JsonLines& lines, Isa isa, const AlignedBuffer& large, const AlignedBuffer& small) {
  uint64_t sink = 0;
  Pieces pieces(large.size(), 4 << 20);
  const double streamed =
      seconds_of([&] { sink += stream_read(isa, large.bytes().subspan(pieces.next(), pieces.piece())); });
  const double cached = seconds_of([&] { sink += stream_read(isa, small.bytes()); });
  const DotPeak peak = dot_peak(isa);
  double dots = 0;
  if (peak.run != nullptr) {
    constexpr size_t kSteps = 1 << 16;
    int64_t total = 0;
    const double seconds = seconds_of([&] { total += peak.run(kSteps); });
    sink += static_cast<uint64_t>(total);
    dots = static_cast<double>(peak.macs_per_step * kSteps) / seconds * 1e-9;
  }
  lines.add(concat("{\"isa\": \"", isa_name(isa),
                   "\", \"memory_gb_s\": ", number(static_cast<double>(pieces.piece()) / streamed * 1e-9),
                   ", \"cache_gb_s\": ", number(static_cast<double>(small.size()) / cached * 1e-9), ", \"dot\": \"",
                   peak.instruction, "\", \"dot_gmac_s\": ", number(dots), ", \"sink\": ", sink % 10, "}"));
}

struct Case {
  Precision precision;
  size_t n_tokens;
};
constexpr Case kCases[] = {{Precision::kA15, 1}, {Precision::kA8, 1}, {Precision::kA15, 32}, {Precision::kA8, 32}};

void measure_product(JsonLines& lines, const Variant<GemmQ4Fn>& variant, const Case& c, const AlignedBuffer& weights,
                     size_t n_rows) {
  const AlignedBuffer x_bytes = allocate(q4_activation_bytes(c.n_tokens, kColumns, kGroupSize, c.precision).value());
  const Q4Activations x{const_cast<std::byte*>(x_bytes.data()), c.n_tokens, kColumns, kGroupSize, c.precision};
  std::vector<float> values(c.n_tokens * kColumns);
  Rng rng(2);
  for (float& value : values) value = static_cast<float>(rng.next_unit() - 0.5);
  quantize_activations(values.data(), x, 0, c.n_tokens);
  std::vector<float> y(c.n_tokens * n_rows);
  const Q4View w{weights.data(), n_rows, kColumns, kGroupSize};
  Pieces rows(n_rows, kPieceRows);
  const double seconds = seconds_of([&] {
    const size_t first = rows.next();
    variant.fn(w, x, first, first + rows.piece(), y.data(), n_rows);
  });
  const double n_weights = static_cast<double>(rows.piece()) * kColumns;
  const double macs = n_weights * static_cast<double>(c.n_tokens);
  const double bytes =
      static_cast<double>(weights.size()) * (static_cast<double>(rows.piece()) / static_cast<double>(n_rows));
  lines.add(concat(
      "{\"variant\": \"", variant.name, "\", \"precision\": \"", c.precision == Precision::kA15 ? "A15" : "A8",
      "\", \"tokens\": ", c.n_tokens, ", \"weights_mb\": ", number(static_cast<double>(weights.size()) * 1e-6),
      ", \"gmac_s\": ", number(macs / seconds * 1e-9), ", \"weights_gb_s\": ", number(bytes / seconds * 1e-9), "}"));
}

void measure_quantizer(JsonLines& lines, const Variant<QuantizeActivationsFn>& variant) {
  const AlignedBuffer bytes = allocate(q4_activation_bytes(1, kColumns, kGroupSize, Precision::kA15).value());
  const Q4Activations x{const_cast<std::byte*>(bytes.data()), 1, kColumns, kGroupSize, Precision::kA15};
  std::vector<float> values(kColumns);
  Rng rng(3);
  for (float& value : values) value = static_cast<float>(rng.next_unit() - 0.5);
  const double seconds = seconds_of([&] { variant.fn(values.data(), x, 0); });
  lines.add(concat("{\"variant\": \"", variant.name, "\", \"gelements_s\": ", number(kColumns / seconds * 1e-9),
                   ", \"microseconds\": ", number(seconds * 1e6), "}"));
}

int run(int argc, char** argv) {
  std::string_view only;
  if (argc == 3 && std::string_view(argv[1]) == "--isa") only = argv[2];
  if (argc != 1 && only.empty()) {
    std::fprintf(stderr, "usage: sutra_kernel_bench [--isa NAME]\n");
    return 2;
  }
  if (!only.empty()) {
    const auto isa = parse_isa(only);
    const Status status = isa ? force_isa(*isa) : Status(std::unexpected(isa.error()));
    if (!status) {
      std::fprintf(stderr, "%s\n", status.error().message.c_str());
      return 2;
    }
  }
  const auto wanted = [&](Isa isa) { return isa_available(isa) && (only.empty() || isa_name(isa) == only); };
  const AlignedBuffer small = random_weights(kCachedRows);
  const AlignedBuffer large = random_weights(kStreamedRows);

  std::printf("{\"columns\": %zu, \"group_size\": %zu, \"threads\": 1,\n  \"limits\": [\n    ", kColumns, kGroupSize);
  JsonLines limits;
  for (const Isa isa : kAllIsas) {
    if (wanted(isa)) measure_limits(limits, isa, large, small);
  }
  std::printf("],\n  \"gemm_q4\": [\n    ");
  JsonLines products;
  for (const Variant<GemmQ4Fn>& variant : kGemmQ4Variants) {
    if (!wanted(variant.isa)) continue;
    for (const Case& c : kCases) {
      measure_product(products, variant, c, small, kCachedRows);
      // The scalar product is far from any memory limit.
      if (variant.isa != Isa::kScalar && c.n_tokens == 1) measure_product(products, variant, c, large, kStreamedRows);
    }
  }
  std::printf("],\n  \"quantize_activations\": [\n    ");
  JsonLines quantizers;
  for (const Variant<QuantizeActivationsFn>& variant : kQuantizeActivationsVariants) {
    if (wanted(variant.isa)) measure_quantizer(quantizers, variant);
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace sutra::bench

int main(int argc, char** argv) { return sutra::bench::run(argc, argv); }
