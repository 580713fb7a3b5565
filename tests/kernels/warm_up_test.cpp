#include "kernels/warm_up.h"

#include <catch2/catch_test_macros.hpp>

#include "base/aligned_buffer.h"

TEST_CASE("warming up works on every machine and leaves no memory behind") {
  const uint64_t before = sutra::memory_use().current_bytes;
  CHECK(sutra::kernels::warm_up());
  CHECK(sutra::memory_use().current_bytes == before);
}
