#include "base/error.h"

namespace sutra {

Error::Error(ErrorCode error_code, std::string text) : code(error_code), message(std::move(text)) {}
Error::Error(const Error&) = default;
Error::Error(Error&&) noexcept = default;
Error& Error::operator=(const Error&) = default;
Error& Error::operator=(Error&&) noexcept = default;
Error::~Error() = default;

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kTruncated: return "truncated";
    case ErrorCode::kMalformed: return "malformed";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kDtypeMismatch: return "dtype_mismatch";
    case ErrorCode::kShapeMismatch: return "shape_mismatch";
    case ErrorCode::kTooLarge: return "too_large";
    case ErrorCode::kOutOfMemory: return "out_of_memory";
    case ErrorCode::kNonFinite: return "non_finite";
    case ErrorCode::kStateMismatch: return "state_mismatch";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kSelfTestFailed: return "self_test_failed";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace sutra
