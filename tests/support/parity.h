// Parity of kernel variants: every variant that runs here gives the bits of the scalar one.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "base/text.h"
#include "kernels/variant.h"

namespace sutra::test {

// Calls body(variant) for each row of a family's table that this machine runs, the scalar one included.
template <class Fn, size_t N, class Body>
void for_each_available(const kernels::Variant<Fn> (&variants)[N], const Body& body) {
  for (const kernels::Variant<Fn>& variant : variants) {
    if (kernels::isa_available(variant.isa)) body(variant);
  }
}

// The same for a family that hands out its table as a span.
template <class Fn, class Body>
void for_each_available(std::span<const kernels::Variant<Fn>> variants, const Body& body) {
  for (const kernels::Variant<Fn>& variant : variants) {
    if (kernels::isa_available(variant.isa)) body(variant);
  }
}

// Equal as bits; any NaN equals any NaN, because instruction sets choose sign and payload differently.
inline bool same_bits(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

// Empty when all are equal, else a sentence about the first difference: CHECK(difference(got, expected) == "").
inline std::string difference(std::span<const float> got, std::span<const float> expected) {
  if (got.size() != expected.size()) return concat("sizes ", got.size(), " and ", expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (!same_bits(got[i], expected[i])) {
      return concat("element ", i, " is ", static_cast<double>(got[i]), " (bits ", std::bit_cast<uint32_t>(got[i]),
                    "), expected ", static_cast<double>(expected[i]), " (bits ", std::bit_cast<uint32_t>(expected[i]),
                    ")");
    }
  }
  return {};
}

}  // namespace sutra::test
