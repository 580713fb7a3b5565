// Test data. Every test names its seed, and CAPTURE(seed) prints it with a failure.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace sutra::test {

class Random {
 public:
  explicit Random(uint64_t seed) : rng_(seed) {}

  // Uniform in [low, high).
  float uniform(float low, float high) {
    return static_cast<float>(low + (static_cast<double>(high) - low) * rng_.next_unit());
  }

  // Standard normal (Box and Muller).
  float normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - rng_.next_unit()));
    return static_cast<float>(radius * std::cos(6.283185307179586 * rng_.next_unit()));
  }

  // Uniform in [low, high].
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng_.next_unit() * static_cast<double>(high - low + 1));
  }

  std::vector<float> uniforms(size_t n, float low, float high) {
    std::vector<float> values(n);
    for (float& value : values) value = uniform(low, high);
    return values;
  }

  std::vector<float> normals(size_t n, float scale = 1.0f) {
    std::vector<float> values(n);
    for (float& value : values) value = scale * normal();
    return values;
  }

  std::vector<uint8_t> bytes(size_t n, uint8_t low, uint8_t high) {
    std::vector<uint8_t> values(n);
    for (uint8_t& value : values) value = static_cast<uint8_t>(integer(low, high));
    return values;
  }

 private:
  Rng rng_;
};

}  // namespace sutra::test
