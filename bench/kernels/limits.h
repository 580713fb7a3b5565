// What this machine can do at best, in one thread: the yardstick for kernel speeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/isa.h"

namespace sutra::bench {

// Reads all bytes once with the widest vectors of `isa` and returns a value that depends on them.
uint64_t stream_read(kernels::Isa isa, std::span<const std::byte> bytes);

// Multiply-adds on registers only: n_steps × macs_per_step of them.
struct Peak {
  std::string_view instruction;
  size_t macs_per_step;
  int64_t (*run)(size_t n_steps);  // nullptr when there is nothing to measure (scalar)
};
// The instruction a 4-bit product of `isa` leans on.
Peak dot_peak(kernels::Isa isa);
// Multiply, then add: what a float product may use ("One arithmetic": no fused multiply-add).
Peak f32_peak(kernels::Isa isa);

}  // namespace sutra::bench
