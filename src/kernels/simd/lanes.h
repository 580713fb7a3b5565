// What kernel bodies share whatever the vector type: partial vectors, loops over lanes, the one summation order.
//
// A body is a template over a vector type V (f32x1.h, f32x4_wasm.h, f32x4_neon.h, f32x8_avx2.h, f32x16_avx512.h),
// written once and instantiated by each variant's file. V has kLanes, kManyRegisters; load, store, keep, splat,
// constant, zero; + − · /; min, max, abs, with_sign_of, select_less, all_less; bits, from_bits and integer steps; sum,
// least, largest; load_f16, load_bf16. Intrinsics are used in those files only.
//
// Everything in this folder and in every body.h is in an unnamed namespace: code compiled for one instruction set must
// never be merged by the linker with the same function compiled for another. For the same reason bodies call no
// inline function of other headers, the standard library's included.
#pragma once

#include <cstddef>

#define SUTRA_ALWAYS_INLINE inline __attribute__((always_inline))

// Before a loop with a constant count whose body indexes an array of vectors: unrolled, the array lives in registers.
#if defined(__clang__)
#define SUTRA_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SUTRA_UNROLL _Pragma("GCC unroll 16")
#endif

namespace sutra::kernels {
namespace {

// Which lanes a load or store is about. Two types and not a number, so that the body of a loop is compiled once for
// whole vectors, without a test.
struct AllLanes {};
struct FirstLanes {
  size_t n;  // 0 < n < kLanes; the other lanes load as +0 and are not stored
};

// Asks for the cache lines of n floats that are wanted soon and that no prefetcher can guess. WebAssembly cannot ask, and
// reading one float of each line instead gained nothing there.
SUTRA_ALWAYS_INLINE void prefetch([[maybe_unused]] const float* from, [[maybe_unused]] size_t n) {
#if !defined(__wasm__)
  for (size_t i = 0; i < n; i += 64 / sizeof(float)) __builtin_prefetch(from + i);
#endif
}

// Calls body(i, lanes) for vectors that cover first ≤ i < last, the last one possibly partial.
template <class V, class Body>
SUTRA_ALWAYS_INLINE void for_lanes(size_t first, size_t last, const Body& body) {
  size_t i = first;
  for (; last - i >= V::kLanes; i += V::kLanes) body(i, AllLanes{});
  if constexpr (V::kLanes > 1) {
    if (i < last) body(i, FirstLanes{last - i});
  }
}

// Every sum along a row is made of sixteen partial sums: number i takes elements i, i + 16, … in order. Then
// i + (i+8), i + (i+4), i + (i+2), i + (i+1). Sixteen lanes are two, four or sixteen vectors; the tree is the same.
inline constexpr size_t kPartialSums = 16;

template <class V>
struct PartialSums {
  static constexpr size_t kVectors = kPartialSums / V::kLanes;
  V part[kVectors];

  static SUTRA_ALWAYS_INLINE PartialSums zero() {
    PartialSums sums;
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) sums.part[b] = V::zero();
    return sums;
  }

  [[nodiscard]] SUTRA_ALWAYS_INLINE float total() const {
    V folded[kVectors];
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) folded[b] = part[b];
    if constexpr (kVectors >= 16) fold<8>(folded);
    if constexpr (kVectors >= 8) fold<4>(folded);
    if constexpr (kVectors >= 4) fold<2>(folded);
    if constexpr (kVectors >= 2) fold<1>(folded);
    return V::sum(folded[0]);
  }

 private:
  template <size_t kHalf>
  static SUTRA_ALWAYS_INLINE void fold(V* folded) {
    SUTRA_UNROLL
    for (size_t b = 0; b < kHalf; ++b) folded[b] = folded[b] + folded[b + kHalf];
  }
};

// Σ term(i, lanes) over 0 ≤ i < n. A term of partial lanes must be +0 or −0 beyond them: a partial sum starts at +0 and
// so is never −0, and adding a zero leaves it as it is.
template <class V, class Term>
SUTRA_ALWAYS_INLINE float sum_of(size_t n, const Term& term) {
  PartialSums<V> sums = PartialSums<V>::zero();
  size_t i = 0;
  for (; n - i >= kPartialSums; i += kPartialSums) {
    SUTRA_UNROLL
    for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
      sums.part[b] = sums.part[b] + term(i + b * V::kLanes, AllLanes{});
    }
  }
  SUTRA_UNROLL
  for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
    const size_t at = i + b * V::kLanes;
    if (at >= n) break;
    if (n - at >= V::kLanes) {
      sums.part[b] = sums.part[b] + term(at, AllLanes{});
    } else if constexpr (V::kLanes > 1) {
      sums.part[b] = sums.part[b] + term(at, FirstLanes{n - at});
    }
  }
  return sums.total();
}

}  // namespace
}  // namespace sutra::kernels
