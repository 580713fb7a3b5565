// The float families' part of kernels/self_test.h.
#pragma once

#include <span>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/selective_scan/selective_scan.h"
#include "kernels/ssd/ssd.h"
#include "kernels/wkv/wkv.h"

namespace sutra::kernels {

// A parameter so that a test can pass a wrong one.
struct FloatTables {
  std::span<const Variant<GemmFKernel>> gemm_f = gemm_f_variants();
  std::span<const Variant<const NormKernels*>> norm = norm_variants();
  std::span<const Variant<const ElementwiseKernels*>> elementwise = elementwise_variants();
  std::span<const Variant<const WkvKernels*>> wkv = wkv_variants();
  std::span<const Variant<SelectiveScanKernel>> selective_scan = selective_scan_variants();
  std::span<const Variant<Conv1dKernel>> conv1d = conv1d_variants();
  std::span<const Variant<SsdKernel>> ssd = ssd_variants();
  std::span<const Variant<RopeKernel>> rope = rope_variants();
  std::span<const Variant<AttentionKernel>> attention = attention_variants();
};

// kSelfTestFailed names the family and the variant whose bits differ from the scalar variant's.
Status self_test_float_kernels(const FloatTables& tables = {});

}  // namespace sutra::kernels
