// Byte-pair encoding of one word: the pair of neighbours with the lowest rank is joined, the leftmost of
// equals first, until no neighbours form a known pair.
// Source: Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", 3.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sutra::text {

struct Symbol {
  int32_t id;
  uint32_t length;  // bytes of the word that it stands for
};

struct Merge {
  uint32_t rank;
  int32_t result;
};

// (left id, right id) -> merge. Open addressing with linear probing.
class MergeTable {
 public:
  explicit MergeTable(size_t n_merges = 0);
  // A pair that is there already is replaced. Precondition: at most n_merges pairs; ids >= 0.
  void insert(int32_t left, int32_t right, Merge merge);
  // nullptr: no such pair.
  [[nodiscard]] const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = pack(left, right);
    for (size_t at = slot(key);; at = (at + 1) & mask_) {
      if (entries_[at].key == key) return &entries_[at].merge;
      if (entries_[at].key == kFree) return nullptr;
    }
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};  // no pair: ids are not negative
  struct Entry {
    uint64_t key = kFree;
    Merge merge{};
  };
  static uint64_t pack(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  [[nodiscard]] size_t slot(uint64_t key) const {
    key *= 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(key ^ key >> 32) & mask_;
  }

  std::vector<Entry> entries_;
  size_t mask_;
};

// Holds the scratch memory of merging, for many words.
class Merger {
 public:
  // Joins what can be joined, in place. Time O(n log n) in the symbols.
  void merge(const MergeTable& table, std::vector<Symbol>& word);

 private:
  struct Link {
    uint32_t previous;
    uint32_t next;
  };
  void merge_short(const MergeTable& table, std::vector<Symbol>& word);
  void merge_long(const MergeTable& table, std::vector<Symbol>& word);

  std::vector<Merge> pairs_;     // merge_short: of symbols i and i + 1
  std::vector<Link> links_;      // merge_long
  std::vector<uint64_t> queue_;  // merge_long: heap of rank << 32 | position
};

}  // namespace sutra::text
