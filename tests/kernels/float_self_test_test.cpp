#include "kernels/float_self_test.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace sutra::test {
namespace {

using namespace sutra::kernels;

// Tables whose second row is wrong: it runs the scalar kernel and then adds 1 to one output.
template <class Args, void (*const* kScalar)(const Args&)>
void one_too_many(const Args& args) {
  (*kScalar)(args);
  args.y[0] += 1.0f;
}

void (*const kGemmF)(const GemmFArgs&) = gemm_f_variants()[0].fn;
void (*const kScan)(const SelectiveScanArgs&) = selective_scan_variants()[0].fn;
void (*const kSsd)(const SsdArgs&) = ssd_variants()[0].fn;
void (*const kAttention)(const AttentionArgs&) = attention_variants()[0].fn;
void (*const kConv1d)(const Conv1dArgs&) = conv1d_variants()[0].fn;

void wrong_group_norm(const GroupNormArgs& args) {
  norm_variants()[0].fn->group_norm(args);
  args.y[0] += 1.0f;
}

void wrong_wkv6(const Wkv6Args& args) {
  wkv_variants()[0].fn->wkv6(args);
  args.y[0] += 1.0f;
}

void wrong_rope(const RopeArgs& args) {
  rope_variants()[0].fn(args);
  args.x[0] += 1.0f;
}

void wrong_tanh(const float* x, size_t n, float* y) {
  elementwise_variants()[0].fn->tanh(x, n, y);
  y[n - 1] += 1.0f;
}

void check_refused(const FloatTables& tables, const std::string& family) {
  const Status status = self_test_float_kernels(tables);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kSelfTestFailed);
  CHECK(status.error().message.find("kernel " + family + ", variant 'wrong'") != std::string::npos);
}

TEST_CASE("the float self-test accepts this machine's kernels") {
  const Status status = self_test_float_kernels();
  INFO((status ? "" : status.error().message));
  CHECK(status.has_value());
}

TEST_CASE("the float self-test names the family and the variant that is wrong") {
  FloatTables tables;
  const Variant<GemmFKernel> gemm_f[] = {tables.gemm_f[0], {Isa::kScalar, "wrong", one_too_many<GemmFArgs, &kGemmF>}};
  tables.gemm_f = gemm_f;
  check_refused(tables, "gemm_f");

  tables = {};
  NormKernels norm_kernels = *tables.norm[0].fn;
  norm_kernels.group_norm = wrong_group_norm;
  const Variant<const NormKernels*> norm[] = {tables.norm[0], {Isa::kScalar, "wrong", &norm_kernels}};
  tables.norm = norm;
  check_refused(tables, "norm");

  tables = {};
  ElementwiseKernels elementwise_kernels = *tables.elementwise[0].fn;
  elementwise_kernels.tanh = wrong_tanh;
  const Variant<const ElementwiseKernels*> elementwise[] = {tables.elementwise[0],
                                                            {Isa::kScalar, "wrong", &elementwise_kernels}};
  tables.elementwise = elementwise;
  check_refused(tables, "elementwise");

  tables = {};
  WkvKernels wkv_kernels = *tables.wkv[0].fn;
  wkv_kernels.wkv6 = wrong_wkv6;
  const Variant<const WkvKernels*> wkv[] = {tables.wkv[0], {Isa::kScalar, "wrong", &wkv_kernels}};
  tables.wkv = wkv;
  check_refused(tables, "wkv");

  tables = {};
  const Variant<SelectiveScanKernel> scan[] = {tables.selective_scan[0],
                                               {Isa::kScalar, "wrong", one_too_many<SelectiveScanArgs, &kScan>}};
  tables.selective_scan = scan;
  check_refused(tables, "selective_scan");

  tables = {};
  const Variant<Conv1dKernel> conv1d[] = {tables.conv1d[0],
                                          {Isa::kScalar, "wrong", one_too_many<Conv1dArgs, &kConv1d>}};
  tables.conv1d = conv1d;
  check_refused(tables, "conv1d");

  tables = {};
  const Variant<SsdKernel> ssd[] = {tables.ssd[0], {Isa::kScalar, "wrong", one_too_many<SsdArgs, &kSsd>}};
  tables.ssd = ssd;
  check_refused(tables, "ssd");

  tables = {};
  const Variant<RopeKernel> rope[] = {tables.rope[0], {Isa::kScalar, "wrong", wrong_rope}};
  tables.rope = rope;
  check_refused(tables, "rope");

  tables = {};
  const Variant<AttentionKernel> attention[] = {tables.attention[0],
                                                {Isa::kScalar, "wrong", one_too_many<AttentionArgs, &kAttention>}};
  tables.attention = attention;
  check_refused(tables, "attention");
}

}  // namespace
}  // namespace sutra::test
