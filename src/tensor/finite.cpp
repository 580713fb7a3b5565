#include "tensor/finite.h"

#include <algorithm>
#include <span>

namespace sutra {
namespace {

// IEEE 754: every exponent bit set means NaN or infinity. Blocks without a branch inside, so that it vectorises.
template <class Bits>
std::optional<uint64_t> find_exponent(std::span<const Bits> elements, Bits exponent) {
  constexpr size_t kBlock = 1024;
  const auto non_finite = [exponent](Bits bits) { return (bits & exponent) == exponent; };
  for (size_t first = 0; first < elements.size(); first += kBlock) {
    const auto block = elements.subspan(first, std::min(kBlock, elements.size() - first));
    unsigned found = 0;
    for (const Bits bits : block) found |= non_finite(bits) ? 1u : 0u;
    if (found != 0) {
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
