// The tables of gguf_names.h, for reading (gguf_names.cpp) and writing (gguf_tensors.cpp): an architecture is a row of the
// one in the .cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/attention.h"
#include "model/config.h"
#include "model/gguf_names.h"

namespace sutra::gguf {

inline constexpr std::string_view kBlocks = "blk.";

// What happens on the way from the file; writing does the opposite.
enum class Change : uint8_t {
  kNone,
  kFlatten,      // to one dimension, and written as one
  kColumn,       // [n, 1] to [n]
  kSplitLerps,   // vectors one after the other
  kHeads,        // [C] to [H, N]
  kNormGroups,   // [groups, n] to [groups · n]
  kConv1d,       // [channels, d_conv] to [channels, 1, d_conv]
  kTranspose,    // the last two dimensions exchanged
  kRotaryRows,   // rows of a pair of rotary positions are neighbours, and become halves
  kGateAndUp,    // the rows of ffn_up follow those of ffn_gate
  kRescale,      // what was divided by a power of 2 is multiplied by it
  kMinusExp,     // only written: A of A_log; what is read stays A
  kRopeFactors,  // only written: made of the config
};

// Reading takes the first rule for a name of GGUF's, writing the first for a name of ours.
struct Rule {
  std::string_view from, to;
  Change change = Change::kNone;
  GgufTensor::Stored stored = GgufTensor::Stored::kFloats;
};

using Rules = std::span<const Rule>;
struct Architecture {
  std::string_view name;        // of ModelConfig
  std::string_view layers;      // what "blk." becomes
  std::string_view mixes;       // in the order of time_mix_lerp_fused
  Rules outside;                // whole names
  std::array<Rules, 4> inside;  // what follows "blk.N."; the first that fits
};
// kUnsupported where no names are known.
Result<const Architecture*> architecture_of(const ModelConfig& config);

// Null where none does.
template <class Matches>
const Rule* find_rule(Rules rules, const Matches& matches) {
  const auto rule = std::ranges::find_if(rules, matches);
  return rule == rules.end() ? nullptr : &*rule;
}
template <class Matches>
const Rule* find_inside(const Architecture& architecture, const Matches& matches) {
  for (const Rules rules : architecture.inside) {
    if (const Rule* const rule = find_rule(rules, matches)) return rule;
  }
  return nullptr;
}

// Where the rows of a matrix of heads come from: neighbours 2i and 2i + 1 become i and i + d/2 of the d first of each
// head, or the other way around; without rotary positions of all, for the order of a cache to be that of other files.
enum class Pairs : uint8_t { kToHalves, kToNeighbours };
std::vector<uint64_t> rotary_rows(const AttentionConfig& c, uint64_t n_rows, Pairs pairs);

}  // namespace sutra::gguf
