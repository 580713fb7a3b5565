#include <cmath>
#include <limits>

#include "sample/sampler.h"

namespace sutra::sample {
namespace {

std::unexpected<Error> refused(std::string_view name, std::string_view range, double value) {
  return fail(ErrorCode::kInvalidArgument, name, " must be ", range, " and is ", value);
}

}  // namespace

Result<Options> validated(const Options& options) {
  // Written so that NaN fails each of them.
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    return refused("temperature", "0 or more and finite", static_cast<double>(options.temperature));
  }
  if (options.top_k < 0) return refused("top_k", "0 (off) or more", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return refused("top_p", "above 0 and at most 1", static_cast<double>(options.top_p));
  }
  if (!(options.min_p >= 0 && options.min_p < 1)) {
    return refused("min_p", "0 or more and below 1", static_cast<double>(options.min_p));
  }
  if (!(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty))) {
    return refused("repetition_penalty", "above 0 and finite", static_cast<double>(options.repetition_penalty));
  }
  return options;
}

}  // namespace sutra::sample
