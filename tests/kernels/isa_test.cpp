#include "kernels/isa.h"

#include <catch2/catch_test_macros.hpp>

#include "kernels/relaxed_dot/relaxed_dot.h"
#include "kernels/variant.h"

using namespace sutra;
using namespace sutra::kernels;

namespace {

// Goes back to the best instruction set when a test ends, whatever happens in it.
struct BestIsaAfterwards {
  ~BestIsaAfterwards() { CHECK(force_isa(std::nullopt)); }
};

constexpr Variant<int> kEverySet[] = {
    {Isa::kScalar, "scalar", 0},   {Isa::kSimd128, "simd128", 1}, {Isa::kRelaxedPairs, "relaxed-pairs", 2},
    {Isa::kRelaxed, "relaxed", 3}, {Isa::kAvx2, "avx2", 4},       {Isa::kAvx512, "avx512", 5},
    {Isa::kNeon, "neon", 6}};
constexpr Variant<int> kScalarOnly[] = {{Isa::kScalar, "scalar", 7}};

}  // namespace

TEST_CASE("every instruction set is found by its own name, and no other name is accepted") {
  for (const Isa isa : kAllIsas) CHECK(parse_isa(isa_name(isa)).value() == isa);
  for (const std::string_view name : {"", "AVX2", "sse", "scalar "}) {
    CHECK(parse_isa(name).error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("the scalar set is available everywhere, and the active one is available") {
  CHECK(isa_available(Isa::kScalar));
  CHECK(isa_available(active_isa()));
}

#if SUTRA_HAVE_WASM_RELAXED
TEST_CASE("relaxed SIMD is the best set exactly where its dot product does not saturate") {
  CHECK(active_isa() == (relaxed::dot_saturates() ? Isa::kRelaxedPairs : Isa::kRelaxed));
  CHECK(isa_available(Isa::kRelaxed));
}
#endif

TEST_CASE("a forced instruction set limits what is selected") {
  const BestIsaAfterwards restore;
  const Isa best = active_isa();
  for (const Isa isa : kAllIsas) {
    if (!isa_available(isa)) continue;
    REQUIRE(force_isa(isa));
    CHECK(active_isa() == isa);
    CHECK(select(kEverySet) == static_cast<int>(isa));
    CHECK(select(kScalarOnly) == 7);
  }
  REQUIRE(force_isa(std::nullopt));
  CHECK(active_isa() == best);
}

TEST_CASE("an instruction set that is not here cannot be forced, and the active one stays") {
  const BestIsaAfterwards restore;
  const Isa before = active_isa();
  for (const Isa isa : kAllIsas) {
    if (isa_available(isa)) continue;
    CHECK(force_isa(isa).error().code == ErrorCode::kUnsupported);
    CHECK(active_isa() == before);
  }
}
