// Instruction sets that kernels exist for, and which of them this machine runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace sutra::kernels {

// Ordered inside one platform: a later set runs everything an earlier one does.
enum class Isa : uint8_t {
  kScalar,        // plain loops, everywhere: the specification of every other variant
  kSimd128,       // WebAssembly SIMD
  kRelaxedPairs,  // WebAssembly relaxed SIMD whose dot product of bytes adds pairs in 16 bits
  kRelaxed,       // the same where it is one instruction for four
  kAvx2,          // x86-64 with AVX2 and F16C
  kAvx512,        // x86-64 with AVX-512 F, BW, VL, DQ and VNNI
  kNeon,          // AArch64 with the dot-product instructions
};
inline constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kSimd128, Isa::kRelaxedPairs, Isa::kRelaxed,
                                   Isa::kAvx2,   Isa::kAvx512,  Isa::kNeon};

// Stable names, for --isa and reports: "scalar", "simd128", "relaxed-pairs", "relaxed", "avx2", "avx512", "neon".
std::string_view isa_name(Isa isa);
// kInvalidArgument for a name that is none of them.
Result<Isa> parse_isa(std::string_view name);

// Compiled in, the CPU has it, and the operating system saves its registers.
bool isa_available(Isa isa);

// The best available set, or the forced one. Relaxed SIMD is not the best where its dot product of bytes is emulated
// (kernels/relaxed_dot).
Isa active_isa();

// Limits select() to `isa` and below; nullopt goes back to the best. kUnsupported when it is not available here.
// Not meant to be called while kernels run.
Status force_isa(std::optional<Isa> isa);

}  // namespace sutra::kernels
