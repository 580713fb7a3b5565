#include "text/alignment.h"

#include <algorithm>

#include "base/assert.h"

namespace sutra::text {

const Alignment::Part& Alignment::part_at(size_t byte) const {
  const auto after = std::upper_bound(parts_.begin(), parts_.end(), byte,
                                      [](size_t value, const Part& part) { return value < part.begin; });
  SUTRA_ASSERT(after != parts_.begin());
  return *(after - 1);
}

Offset Alignment::source_of(Offset bytes) const {
  const Part& first = part_at(bytes.begin);
  const Part& last = part_at(bytes.end - 1);
  return {first.copied ? first.source + (bytes.begin - first.begin) : first.source,
          last.copied ? last.source + (bytes.end - last.begin) : last.source_end};
}

}  // namespace sutra::text
