#include "text/bpe.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <utility>
#include <vector>

#include "support/random.h"

namespace sutra::text {
namespace {

using Ranks = std::map<std::pair<int32_t, int32_t>, Merge>;

// The definition, word for word: find the lowest rank from the left, join, start over.
std::vector<int32_t> naive_merge(const Ranks& ranks, std::vector<int32_t> word) {
  for (;;) {
    size_t best = word.size();
    Merge merge{};
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      const auto found = ranks.find({word[i], word[i + 1]});
      if (found != ranks.end() && (best == word.size() || found->second.rank < merge.rank)) {
        best = i;
        merge = found->second;
      }
    }
    if (best == word.size()) return word;
    word[best] = merge.result;
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST_CASE("merging finds what the definition finds, in short and in long words") {
  const uint64_t seed = 5;
  CAPTURE(seed);
  test::Random random(seed);
  for (int round = 0; round < 300; ++round) {
    const auto n_letters = static_cast<int32_t>(random.integer(1, 4));
    const auto n_merges = static_cast<uint32_t>(random.integer(0, 30));
    Ranks ranks;
    MergeTable table(n_merges);
    // As in a trained vocabulary each merge joins what exists already. Ranks are shuffled: files may have any order.
    for (uint32_t i = 0; i < n_merges; ++i) {
      const auto left = static_cast<int32_t>(random.integer(0, n_letters + static_cast<int32_t>(i) - 1));
      const auto right = static_cast<int32_t>(random.integer(0, n_letters + static_cast<int32_t>(i) - 1));
      const Merge merge{i * 7919 % 1009, n_letters + static_cast<int32_t>(i)};
      if (!ranks.emplace(std::pair(left, right), merge).second) continue;
      table.insert(left, right, merge);
    }
    for (const int64_t length : {1, 2, 3, 10, 47, 48, 49, 200}) {
      std::vector<int32_t> letters;
      std::vector<Symbol> word;
      for (int64_t i = 0; i < length; ++i) {
        letters.push_back(static_cast<int32_t>(random.integer(0, n_letters - 1)));
        word.push_back({letters.back(), 1});
      }
      Merger merger;
      merger.merge(table, word);
      std::vector<int32_t> ids;
      uint32_t bytes = 0;
      for (const Symbol& symbol : word) {
        ids.push_back(symbol.id);
        bytes += symbol.length;
      }
      CHECK(ids == naive_merge(ranks, letters));
      CHECK(bytes == static_cast<uint32_t>(length));
    }
  }
}

TEST_CASE("a merge table finds each pair and replaces one that comes again") {
  MergeTable table(3);
  CHECK(table.find(0, 0) == nullptr);
  table.insert(1, 2, {0, 3});
  table.insert(2, 1, {1, 4});
  table.insert(1, 2, {2, 5});
  REQUIRE(table.find(1, 2) != nullptr);
  CHECK(table.find(1, 2)->result == 5);
  CHECK(table.find(2, 1)->rank == 1);
  CHECK(table.find(2, 2) == nullptr);
}

}  // namespace
}  // namespace sutra::text
