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
  // pieces than threads even out cores of different speed. Not reentrant.
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
  void run_pieces();
  void work();

  std::vector<std::thread> workers_;
  // Written by the caller before `generation_` is advanced, read by workers after they see it.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  size_t n_ = 0;
  size_t piece_ = 0;  // length of one
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<size_t> next_{0};  // the piece to take next
  alignas(64) std::atomic<uint32_t> pending_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace sutra
