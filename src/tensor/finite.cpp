#include "tensor/finite.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace sutra {
namespace {

// IEEE 754: every exponent bit set means NaN or infinity. Adding the exponent's lowest bit then carries into the sign,
// which was masked out, and into nothing else: so 64 bits of elements are tested at a time, without a branch, at any
// instruction set.
template <class Bits>
std::optional<uint64_t> find_exponent(std::span<const Bits> elements, Bits exponent) {
  constexpr size_t kBlock = 1024;
  constexpr size_t kPerWord = sizeof(uint64_t) / sizeof(Bits);
  const uint64_t every = ~uint64_t{0} / static_cast<Bits>(~Bits{0});  // a one in each element's lowest bit
  const uint64_t exponents = every * exponent;
  const uint64_t lowest = every * (exponent & -uint64_t{exponent});
  const uint64_t signs = every << (8 * sizeof(Bits) - 1);
  const auto non_finite = [exponent](Bits bits) { return (bits & exponent) == exponent; };
  for (size_t first = 0; first < elements.size(); first += kBlock) {
    const auto block = elements.subspan(first, std::min(kBlock, elements.size() - first));
    const size_t n_words = block.size() / kPerWord;
    uint64_t carried = 0;
    for (size_t i = 0; i < n_words; ++i) {
      uint64_t word = 0;
      std::memcpy(&word, block.data() + i * kPerWord, sizeof word);
      carried |= (word & exponents) + lowest;
    }
    const auto rest = block.subspan(n_words * kPerWord);
    if ((carried & signs) != 0 || std::ranges::any_of(rest, non_finite)) {
      return first + static_cast<uint64_t>(std::ranges::find_if(block, non_finite) - block.begin());
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> first_non_finite(const TensorView& tensor) {
  switch (tensor.dtype) {
    case Dtype::kF64: return find_exponent<uint64_t>(tensor.as<uint64_t>(), 0x7ff0000000000000u);
    case Dtype::kF32: return find_exponent<uint32_t>(tensor.as<uint32_t>(), 0x7f800000u);
    case Dtype::kF16: return find_exponent<uint16_t>(tensor.as<uint16_t>(), 0x7c00u);
    case Dtype::kBF16: return find_exponent<uint16_t>(tensor.as<uint16_t>(), 0x7f80u);
    default: return std::nullopt;
  }
}

}  // namespace sutra
