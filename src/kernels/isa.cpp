#include "kernels/isa.h"

#include <algorithm>
#include <atomic>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#if SUTRA_HAVE_WASM_RELAXED
#include "kernels/relaxed_dot/relaxed_dot.h"
#endif

namespace sutra::kernels {
namespace {

// libgcc and compiler-rt include the operating system's part (xgetbv) in their answer.
bool cpu_has_avx2() {
#if SUTRA_HAVE_AVX2
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool cpu_has_avx512() {
#if SUTRA_HAVE_AVX512
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

bool cpu_has_neon() {
#if SUTRA_HAVE_NEON && defined(__linux__)
  constexpr unsigned long kHwcapDotProduct = 1ul << 20;
  return (getauxval(AT_HWCAP) & kHwcapDotProduct) != 0;
#elif SUTRA_HAVE_NEON
  return true;  // Apple's and Windows' 64-bit ARM machines all have the dot product
#else
  return false;
#endif
}

bool is_worth_using(Isa isa) {
#if SUTRA_HAVE_WASM_RELAXED
  if (isa == Isa::kRelaxed) return !relaxed::dot_saturates();
#endif
  return isa_available(isa);
}

Isa best_isa() {
  Isa best = Isa::kScalar;
  for (const Isa isa : kAllIsas) {
    if (is_worth_using(isa)) best = std::max(best, isa);
  }
  return best;
}

std::atomic<Isa>& active() {
  static std::atomic<Isa> isa{best_isa()};
  return isa;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return "scalar";
    case Isa::kSimd128: return "simd128";
    case Isa::kRelaxedPairs: return "relaxed-pairs";
    case Isa::kRelaxed: return "relaxed";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kNeon: return "neon";
  }
  return "scalar";
}

Result<Isa> parse_isa(std::string_view name) {
  for (const Isa isa : kAllIsas) {
    if (isa_name(isa) == name) return isa;
  }
  return fail(ErrorCode::kInvalidArgument, "instruction set '", printable(name),
              "' is none of scalar, simd128, relaxed-pairs, relaxed, avx2, avx512, neon");
}

bool isa_available(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return true;
#if SUTRA_HAVE_WASM_SIMD128
    case Isa::kSimd128: return true;  // a module with such instructions does not start elsewhere
#endif
#if SUTRA_HAVE_WASM_RELAXED
    case Isa::kRelaxedPairs:
    case Isa::kRelaxed: return true;
#endif
    case Isa::kAvx2: return cpu_has_avx2();
    case Isa::kAvx512: return cpu_has_avx512();
    case Isa::kNeon: return cpu_has_neon();
    default: return false;
  }
}

Isa active_isa() { return active().load(std::memory_order_relaxed); }

Status force_isa(std::optional<Isa> isa) {
  if (isa && !isa_available(*isa)) {
    return fail(ErrorCode::kUnsupported, "instruction set '", isa_name(*isa),
                "' is not available: this build on this machine runs up to '", isa_name(best_isa()), "'");
  }
  active().store(isa.value_or(best_isa()), std::memory_order_relaxed);
  return {};
}

}  // namespace sutra::kernels
