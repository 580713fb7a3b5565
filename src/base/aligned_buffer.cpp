#include "base/aligned_buffer.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/checked.h"

namespace sutra {
namespace {

std::atomic<uint64_t> g_current_bytes{0};
std::atomic<uint64_t> g_peak_bytes{0};
std::atomic<int64_t> g_allocations_until_failure{-1};

void count_allocated(uint64_t size) {
  const uint64_t now = g_current_bytes.fetch_add(size) + size;
  uint64_t peak = g_peak_bytes.load();
  while (peak < now && !g_peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

bool injected_failure() {
  if (g_allocations_until_failure.load() < 0) return false;
  return g_allocations_until_failure.fetch_sub(1) == 0;
}

}  // namespace

MemoryUse memory_use() { return {g_current_bytes.load(), g_peak_bytes.load()}; }
void reset_peak_memory() { g_peak_bytes.store(g_current_bytes.load()); }
void fail_allocation_after(int64_t n) { g_allocations_until_failure.store(n); }

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

AlignedBuffer::~AlignedBuffer() { release(); }

void AlignedBuffer::release() {
  if (data_ == nullptr) return;
  g_current_bytes.fetch_sub(size_);
  std::free(data_);
  data_ = nullptr;
  size_ = 0;
}

Result<AlignedBuffer> AlignedBuffer::create(uint64_t size_bytes, Contents contents) {
  AlignedBuffer buffer;
  if (size_bytes == 0) return buffer;
  const auto padded = checked_add(size_bytes, kAlignment - 1);
  if (!padded || !fits_size_t(*padded)) {
    return fail(ErrorCode::kTooLarge, "an allocation of ", size_bytes, " bytes does not fit the address space");
  }
  const size_t rounded = static_cast<size_t>(*padded) / kAlignment * kAlignment;
  void* memory = injected_failure() ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) {
    return fail(ErrorCode::kOutOfMemory, "memory for ", size_bytes, " bytes was refused; ", memory_use().current_bytes,
                " bytes are in use");
  }
  if (contents == Contents::kZero) std::memset(memory, 0, rounded);
#ifndef NDEBUG
  // Whoever reads what nobody wrote shall not find zeros by chance.
  if (contents == Contents::kUndefined) std::memset(memory, 0xff, rounded);
#endif
  buffer.data_ = static_cast<std::byte*>(memory);
  buffer.size_ = static_cast<size_t>(size_bytes);
  count_allocated(size_bytes);
  return buffer;
}

}  // namespace sutra
