// What every fuzz target needs.
#pragma once

#include <cstddef>
#include <cstdint>

// A broken promise of the code under test; libFuzzer keeps the input.
#define FUZZ_CHECK(condition) \
  do {                        \
    if (!(condition)) {       \
      __builtin_trap();       \
    }                         \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
