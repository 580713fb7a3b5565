#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/assert.h"

namespace sutra::text {
namespace {

// Below this, looking at every pair for each merge is faster than keeping a queue.
constexpr size_t kShortWord = 48;
constexpr uint32_t kNone = 0xffffffffu;

}  // namespace

MergeTable::MergeTable(size_t n_merges) : entries_(std::bit_ceil(2 * n_merges + 1)), mask_(entries_.size() - 1) {}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = pack(left, right);
  size_t at = slot(key);
  while (entries_[at].key != kFree && entries_[at].key != key) at = (at + 1) & mask_;
  entries_[at] = {key, merge};
}

void Merger::merge(const MergeTable& table, std::vector<Symbol>& word) {
  if (word.size() < 2) return;
  if (word.size() < kShortWord) {
    merge_short(table, word);
  } else {
    merge_long(table, word);
  }
}

void Merger::merge_short(const MergeTable& table, std::vector<Symbol>& word) {
  const auto pair_at = [&](size_t i) {
    const Merge* found = table.find(word[i].id, word[i + 1].id);
    return found != nullptr ? *found : Merge{kNone, 0};
  };
  pairs_.resize(word.size() - 1);
  for (size_t i = 0; i < pairs_.size(); ++i) pairs_[i] = pair_at(i);
  while (!pairs_.empty()) {
    const auto best =
        std::min_element(pairs_.begin(), pairs_.end(), [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
    if (best->rank == kNone) return;
    const auto i = static_cast<size_t>(best - pairs_.begin());
    word[i] = {best->result, word[i].length + word[i + 1].length};
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    pairs_.erase(best);
    if (i > 0) pairs_[i - 1] = pair_at(i - 1);
    if (i < pairs_.size()) pairs_[i] = pair_at(i);
  }
}

void Merger::merge_long(const MergeTable& table, std::vector<Symbol>& word) {
  SUTRA_ASSERT(word.size() < kNone);
  const auto n = static_cast<uint32_t>(word.size());
  links_.resize(n);
  queue_.clear();
  // A removed symbol has length 0; a symbol of the file never has.
  const auto enqueue = [&](uint32_t left, uint32_t right) {
    const Merge* found = table.find(word[left].id, word[right].id);
    if (found != nullptr) queue_.push_back(static_cast<uint64_t>(found->rank) << 32 | left);
    return found != nullptr;
  };
  for (uint32_t i = 0; i < n; ++i) links_[i] = {i == 0 ? kNone : i - 1, i + 1 == n ? kNone : i + 1};
  for (uint32_t i = 0; i + 1 < n; ++i) enqueue(i, i + 1);
  std::make_heap(queue_.begin(), queue_.end(), std::greater<>());
  const auto push = [&](uint32_t left, uint32_t right) {
    if (enqueue(left, right)) std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
  };
  while (!queue_.empty()) {
    std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
    const uint64_t top = queue_.back();
    queue_.pop_back();
    const auto left = static_cast<uint32_t>(top & kNone);
    const uint32_t right = word[left].length == 0 ? kNone : links_[left].next;
    if (right == kNone) continue;
    // The neighbours may have changed since the pair was queued.
    const Merge* found = table.find(word[left].id, word[right].id);
    if (found == nullptr || found->rank != top >> 32) continue;
    word[left] = {found->result, word[left].length + word[right].length};
    word[right].length = 0;
    const uint32_t next = links_[right].next;
    links_[left].next = next;
    if (next != kNone) {
      links_[next].previous = left;
      push(left, next);
    }
    if (links_[left].previous != kNone) push(links_[left].previous, left);
  }
  std::erase_if(word, [](const Symbol& symbol) { return symbol.length == 0; });
}

}  // namespace sutra::text
