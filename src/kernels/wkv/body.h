// Every recurrence over one vector type.
#pragma once

#include "kernels/wkv/wkv.h"
#include "kernels/wkv/wkv4_body.h"
#include "kernels/wkv/wkv6_body.h"
#include "kernels/wkv/wkv7_body.h"

namespace sutra::kernels {
namespace {

template <class V>
constexpr WkvKernels wkv_kernels() {
  return {.wkv4 = wkv4_body<V>, .wkv6 = wkv6_body<V>, .wkv7 = wkv7_body<V>};
}

}  // namespace
}  // namespace sutra::kernels
