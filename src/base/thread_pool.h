// A persistent pool for short parallel regions: workers spin briefly, then sleep.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace sutra {

class ThreadPool {
 public:
  // n_threads counts the caller: 1 starts no worker. In wasm the page must have made the workers
  // beforehand (PTHREAD_POOL_SIZE), because a blocked thread cannot start new ones.
  explicit ThreadPool(size_t n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] size_t size() const { return workers_.size() + 1; }

  // Calls body(first, last) on disjoint ranges that cover [0, n), at most `n_pieces` of them, each a multiple of
  // `grain` long (but the last); returns when all are done. A thread that is done with one takes the next, so more
  // pieces than threads even out cores of different speed, and nobody waits for a thread that has no core: what it does
  // not take, the others do. Not reentrant.
  template <class Body>
  void parallel_for(size_t n, size_t grain, size_t n_pieces, const Body& body) {
    run(
        n, grain, n_pieces,
        [](const void* context, size_t first, size_t last) { (*static_cast<const Body*>(context))(first, last); },
        &body);
  }

 private:
  using Call = void (*)(const void* context, size_t first, size_t last);
  void run(size_t n, size_t grain, size_t n_pieces, Call call, const void* context);
  void run_pieces(uint32_t generation);
  void work();

  // What is to be done. A worker that comes late may read these while the next region is being written; it then finds
  // the ticket changed and does nothing with what it read.
  struct Region {
    std::atomic<Call> call{nullptr};
    std::atomic<const void*> context{nullptr};
    std::atomic<size_t> n{0};
    std::atomic<size_t> piece{0};  // length of one
    std::atomic<uint32_t> n_pieces{0};
  };

  std::vector<std::thread> workers_;
  Region region_;
  alignas(64) std::atomic<uint32_t> generation_{0};  // of the region; what workers wait for
  alignas(64) std::atomic<uint64_t> ticket_{0};  // generation in the upper half, pieces that nobody took in the lower
  alignas(64) std::atomic<uint32_t> n_done_{0};  // pieces of the region
  std::atomic<bool> stop_{false};
};

}  // namespace sutra
