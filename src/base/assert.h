// Assertions state what the code around them guarantees. They never test data from outside.
#pragma once

#include <cstdio>
#include <cstdlib>

// Active in every build: the checks sit outside inner loops and cost nothing measurable.
#define SUTRA_ASSERT(condition)                                                              \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
