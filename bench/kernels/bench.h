// What the families' measurements share. A family is one file with one function, listed in main.cpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string_view>

#include "base/aligned_buffer.h"
#include "bench/kernels/report.h"
#include "kernels/variant.h"

namespace sutra::bench {

struct Bench {
  Report& report;
  std::string_view only_isa;  // empty: all
  size_t n_threads = 1;       // of the family awq; the others measure one

  [[nodiscard]] bool wants(kernels::Isa isa) const {
    return kernels::isa_available(isa) && (only_isa.empty() || kernels::isa_name(isa) == only_isa);
  }
};

// Seconds of one call: the best of many samples of about half a millisecond. Whatever else runs on the machine, on this
// core's other thread too, only adds time, and samples shorter than a scheduler's time slice can miss it.
template <class Body>
double seconds_of(const Body& body) {
  using Clock = std::chrono::steady_clock;
  const auto time = [&](size_t n) {
    const auto start = Clock::now();
    for (size_t i = 0; i < n; ++i) body();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  // Long enough for an engine to replace its first, unoptimised code.
  for (double warm_up = 0; warm_up < 0.15;) warm_up += time(1);
  double best = std::min({time(1), time(1), time(1)});
  const size_t n = static_cast<size_t>(std::max(1.0, 5e-4 / std::max(best, 1e-9)));
  for (double spent = 0; spent < 0.15;) {
    const double sample = time(n);
    spent += sample;
    best = std::min(best, sample / static_cast<double>(n));
  }
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

// Ends the program where memory is short.
AlignedBuffer allocate(uint64_t bytes);

// Aligned as the engine's own tensors are.
class Floats {
 public:
  explicit Floats(size_t n) : bytes_(allocate(n * sizeof(float))) {}
  [[nodiscard]] float* data() { return bytes_.as<float>().data(); }
  [[nodiscard]] const float* data() const { return bytes_.as<float>().data(); }
  [[nodiscard]] size_t size() const { return bytes_.size() / sizeof(float); }

 private:
  AlignedBuffer bytes_;
};
Floats random_floats(size_t n, float low, float high);

// "us" and, of the bytes that must move at least once, "GB/s".
void add_time(const Bench& bench, std::string_view family, std::string_view variant, std::string_view case_name,
              double seconds, size_t bytes);

// The families (main.cpp has the table).
void measure_limits(const Bench& bench);
void measure_gemm_q4(const Bench& bench);
void measure_gemm_q8(const Bench& bench);
void measure_quantize_activations(const Bench& bench);
void measure_gemm_f(const Bench& bench);
void measure_wkv7(const Bench& bench);
void measure_selective_scan(const Bench& bench);
void measure_ssd(const Bench& bench);
void measure_attention(const Bench& bench);
void measure_conv1d(const Bench& bench);
void measure_norm(const Bench& bench);
void measure_elementwise(const Bench& bench);
void measure_awq(const Bench& bench);

}  // namespace sutra::bench
