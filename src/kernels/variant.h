// The table every kernel family has: dispatch, parity tests, self-test and benchmarks iterate over it.
//
//   constexpr Variant<GemmFn> kVariants[] = {
//       {Isa::kScalar, "scalar", scalar::gemm},
//   #if SUTRA_HAVE_AVX2
//       {Isa::kAvx2, "avx2", avx2::gemm},
//   #endif
//   };
//
// Scalar first, best last. Variants of one family give the same bits (ARCHITECTURE.md, "One arithmetic").
// A variant's source is compiled for its own instruction set, so it must keep helpers in an unnamed namespace: an
// inline function shared with other files could be linked from there into code that runs on older machines.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernels/isa.h"

namespace sutra::kernels {

template <class Fn>
struct Variant {
  Isa isa;
  std::string_view name;
  Fn fn;
};

// The best variant not above the active instruction set: one load and a few compares.
template <class Fn, size_t N>
Fn select(const Variant<Fn> (&variants)[N]) {
  const Isa limit = active_isa();
  for (size_t i = N - 1; i > 0; --i) {
    if (variants[i].isa <= limit) return variants[i].fn;
  }
  return variants[0].fn;
}

}  // namespace sutra::kernels
