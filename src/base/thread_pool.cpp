#include "base/thread_pool.h"

#include <algorithm>

#include "base/assert.h"
#include "base/checked.h"

namespace sutra {
namespace {

// About 100 to 200 µs: longer than the serial work between two regions of a layer and than the pause between two tokens,
// shorter than what a sleeping core is worth. Waking a thread costs tens of microseconds, as much as a small model's layer.
// A turn with x86's pause takes about 40 times as long as one without any, as in wasm.
#if defined(__x86_64__) || defined(__aarch64__)
constexpr int kSpins = 4000;
#else
constexpr int kSpins = 160'000;
#endif

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins, then sleeps, until value differs from `old`.
uint32_t wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    relax();
  }
  for (;;) {
    value.wait(old, std::memory_order_acquire);
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

}  // namespace

ThreadPool::ThreadPool(size_t n_threads) {
  SUTRA_ASSERT(n_threads >= 1);
  workers_.reserve(n_threads - 1);
  for (size_t i = 1; i < n_threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(size_t n, size_t grain, size_t n_pieces, Call call, const void* context) {
  SUTRA_ASSERT(grain >= 1 && n_pieces >= 1);
  const size_t piece = round_up(div_up(n, n_pieces), grain);
  if (workers_.empty() || piece >= n) {
    if (n > 0) call(context, 0, n);
    return;
  }
  call_ = call;
  context_ = context;
  n_ = n;
  piece_ = piece;
  next_.store(0, std::memory_order_relaxed);
  pending_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  run_pieces();
  uint32_t left = pending_.load(std::memory_order_acquire);
  while (left != 0) left = wait_for_change(pending_, left);
}

// Every thread gets beyond the last piece once before the region ends, so next_ cannot wrap.
void ThreadPool::run_pieces() {
  for (;;) {
    const size_t first = next_.fetch_add(1, std::memory_order_relaxed) * piece_;
    if (first >= n_) return;
    call_(context_, first, std::min(n_, first + piece_));
  }
}

void ThreadPool::work() {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_change(generation_, seen);
    if (stop_.load()) return;
    run_pieces();
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

}  // namespace sutra
