#include "base/aligned_buffer.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

namespace sutra {

TEST_CASE("buffers are aligned, zero-filled and counted") {
  const uint64_t before = memory_use().current_bytes;
  {
    auto buffer = AlignedBuffer::create(1000);
    REQUIRE(buffer);
    CHECK(reinterpret_cast<uintptr_t>(buffer->data()) % AlignedBuffer::kAlignment == 0);
    for (const std::byte byte : buffer->bytes()) CHECK(byte == std::byte{0});
    CHECK(memory_use().current_bytes == before + 1000);
    AlignedBuffer moved = std::move(*buffer);
    CHECK(moved.size() == 1000);
    CHECK(memory_use().current_bytes == before + 1000);
  }
  CHECK(memory_use().current_bytes == before);
  CHECK(memory_use().peak_bytes >= before + 1000);
}

TEST_CASE("sizes that no machine has are errors") {
  const auto wrapping = AlignedBuffer::create(std::numeric_limits<uint64_t>::max());
  REQUIRE_FALSE(wrapping);
  CHECK(wrapping.error().code == ErrorCode::kTooLarge);
}

TEST_CASE("a refused allocation is an error") {
  fail_allocation_after(1);
  CHECK(AlignedBuffer::create(8));
  const auto refused = AlignedBuffer::create(8);
  fail_allocation_after(-1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kOutOfMemory);
}

}  // namespace sutra
