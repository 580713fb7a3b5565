// Interleaved chains of dependent products stay interleaved.
#pragma once

#include <wasm_simd128.h>

namespace sutra::kernels {

// LLVM writes a value that is used once into the expression that uses it: of twelve sums that each take a product now
// and one later, the first takes both, then the second, and everything that the later products read needs registers
// from the start. It does not move anything past this.
inline void keep_order(v128_t& sum) { asm volatile("" : "+r"(sum)); }

}  // namespace sutra::kernels
