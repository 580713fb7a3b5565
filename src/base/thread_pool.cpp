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
  const auto count = static_cast<uint32_t>(div_up(n, piece));
  region_.call.store(call, std::memory_order_relaxed);
  region_.context.store(context, std::memory_order_relaxed);
  region_.n.store(n, std::memory_order_relaxed);
  region_.piece.store(piece, std::memory_order_relaxed);
  region_.n_pieces.store(count, std::memory_order_relaxed);
  n_done_.store(0, std::memory_order_relaxed);
  const uint32_t generation = generation_.load(std::memory_order_relaxed) + 1;
  ticket_.store(uint64_t{generation} << 32 | count, std::memory_order_release);
  generation_.store(generation, std::memory_order_release);
  generation_.notify_all();
  run_pieces(generation);
  uint32_t done = n_done_.load(std::memory_order_acquire);
  while (done != count) done = wait_for_change(n_done_, done);
}

// A piece is taken by counting the ticket down. That succeeds only while the region has a piece that nobody took, so the
// region cannot have ended, and what was read of it cannot have changed: no worker is waited for but those that took one.
void ThreadPool::run_pieces(uint32_t generation) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  for (;;) {
    const Call call = region_.call.load(std::memory_order_relaxed);
    const void* const context = region_.context.load(std::memory_order_relaxed);
    const size_t n = region_.n.load(std::memory_order_relaxed);
    const size_t piece = region_.piece.load(std::memory_order_relaxed);
    const uint32_t count = region_.n_pieces.load(std::memory_order_relaxed);
    const auto n_left = static_cast<uint32_t>(ticket);
    if (ticket >> 32 != generation || n_left == 0) return;
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    const size_t first = size_t{count - n_left} * piece;
    call(context, first, std::min(n, first + piece));
    if (n_done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) n_done_.notify_one();
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work() {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_change(generation_, seen);
    if (stop_.load()) return;
    run_pieces(seen);
  }
}

}  // namespace sutra
