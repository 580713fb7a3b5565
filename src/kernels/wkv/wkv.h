// The recurrences of all versions of RWKV: one table of variants.
#pragma once

#include <span>

#include "kernels/variant.h"
#include "kernels/wkv/wkv4.h"
#include "kernels/wkv/wkv6.h"
#include "kernels/wkv/wkv7.h"

namespace sutra::kernels {

struct WkvKernels {
  void (*wkv4)(const Wkv4Args&);
  void (*wkv6)(const Wkv6Args&);
  void (*wkv7)(const Wkv7Args&);
};
std::span<const Variant<const WkvKernels*>> wkv_variants();

}  // namespace sutra::kernels
