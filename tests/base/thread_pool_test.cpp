#include "base/thread_pool.h"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <vector>

namespace sutra {

TEST_CASE("a parallel loop visits every index once, in ranges of the grain") {
  for (const size_t n_threads : {size_t{1}, size_t{2}, size_t{5}}) {
    ThreadPool pool(n_threads);
    CHECK(pool.size() == n_threads);
    for (const size_t n : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{1000}}) {
      for (const size_t n_pieces : {size_t{1}, n_threads, size_t{40}, size_t{5000}}) {
        std::vector<std::atomic<int>> visits(n);
        std::atomic<bool> on_grain = true;
        std::atomic<size_t> n_calls = 0;
        pool.parallel_for(n, 16, n_pieces, [&](size_t first, size_t last) {
          if (first % 16 != 0 || (last % 16 != 0 && last != n)) on_grain = false;
          for (size_t i = first; i < last; ++i) ++visits[i];
          ++n_calls;
        });
        CHECK(on_grain);
        CHECK(n_calls <= n_pieces);
        for (const auto& count : visits) CHECK(count == 1);
      }
    }
  }
}

TEST_CASE("many short regions in a row all finish") {
  ThreadPool pool(3);
  std::atomic<uint64_t> sum = 0;
  for (int i = 0; i < 20000; ++i) {
    pool.parallel_for(3, 1, 3, [&](size_t first, size_t last) { sum += last - first; });
  }
  CHECK(sum == 60000);
}

// A thread that comes late must not mistake what it finds for the region it came for.
TEST_CASE("regions of changing sizes in a row visit what they should") {
  constexpr size_t kMost = 64;
  for (const size_t n_threads : {size_t{2}, size_t{3}, size_t{5}}) {
    ThreadPool pool(n_threads);
    bool all_right = true;
    for (size_t i = 0; i < 20000; ++i) {
      const size_t n = 1 + i % kMost;
      std::vector<size_t> visits(n, i);
      pool.parallel_for(n, 1, 1 + i % 9, [&](size_t first, size_t last) {
        for (size_t k = first; k < last; ++k) visits[k] += k + 1;
      });
      for (size_t k = 0; k < n; ++k) all_right = all_right && visits[k] == i + k + 1;
    }
    CHECK(all_right);
  }
}

TEST_CASE("a thread that is held up leaves the other pieces to the rest") {
  ThreadPool pool(2);
  std::atomic<size_t> n_others = 0;
  pool.parallel_for(8, 1, 8, [&](size_t first, size_t) {
    if (first > 0) {
      ++n_others;
      return;
    }
    // Returns only when another thread has done all other pieces, this one's thread none of them.
    while (n_others < 7) std::this_thread::yield();
  });
  CHECK(n_others == 7);
}

}  // namespace sutra
