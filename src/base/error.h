// Errors as values. Bad data gives a Result; bad code gives an assertion (base/assert.h).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace sutra {

// Closed list, mirrored in bindings/js/errors.ts (a test compares the two). Never renumber.
enum class ErrorCode : uint8_t {
  kInvalidArgument = 1,  // the caller's option or value cannot be used
  kNotFound = 2,         // a file, tensor or key that must exist does not
  kIo = 3,               // the operating system refused a read or a write
  kTruncated = 4,        // the bytes end before their own header says they do
  kMalformed = 5,        // the bytes break their format's rules
  kUnsupported = 6,      // well-formed, but nothing here can run it
  kDtypeMismatch = 7,    // a tensor has another dtype than its place needs
  kShapeMismatch = 8,    // a tensor has another shape than its place needs
  kTooLarge = 9,         // a size over a stated limit, or one that wraps
  kOutOfMemory = 10,     // an allocation was refused
  kNonFinite = 11,       // NaN or infinity in weights or logits
  kStateMismatch = 12,   // a saved state that belongs to another model
  kCancelled = 13,       // the caller stopped the work
  kSelfTestFailed = 14,  // a kernel variant disagrees with the scalar one
  kInternal = 15,        // a defect in Sutra
};

// The code's stable name, e.g. "shape_mismatch": what bindings and --json show.
std::string_view error_code_name(ErrorCode code);

// Moved on at every SUTRA_TRY, so its members are in error.cpp: inlined they were a twentieth of the wasm module.
struct Error {
  Error(ErrorCode error_code, std::string text);
  Error(const Error&);
  Error(Error&&) noexcept;
  Error& operator=(const Error&);
  Error& operator=(Error&&) noexcept;
  ~Error();

  ErrorCode code;
  // One sentence that names the thing, what was expected and what was found.
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// fail(ErrorCode::kTruncated, "tensor '", name, "' needs ", need, " bytes, ", left, " are left")
template <class... Parts>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, const Parts&... parts) {
  return std::unexpected(Error{code, concat(parts...)});
}

}  // namespace sutra

// Evaluates a Result or Status expression and returns its error from the enclosing function.
#define SUTRA_TRY(expression)                                  \
  do {                                                         \
    if (auto sutra_status = (expression); !sutra_status) {     \
      return std::unexpected(std::move(sutra_status).error()); \
    }                                                          \
  } while (false)

#define SUTRA_CONCAT_INNER(a, b) a##b
#define SUTRA_CONCAT(a, b) SUTRA_CONCAT_INNER(a, b)
#define SUTRA_ASSIGN_INNER(result, declaration, expression)       \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  declaration = std::move(*result)
// SUTRA_ASSIGN(auto header, parse_header(bytes)): the value, or the error returned.
#define SUTRA_ASSIGN(declaration, expression) \
  SUTRA_ASSIGN_INNER(SUTRA_CONCAT(sutra_result_, __LINE__), declaration, expression)
