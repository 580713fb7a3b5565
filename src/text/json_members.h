// Members of a JSON object by type, for tokenizer files.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/json_tree.h"

namespace sutra::text {

// `where` names the object in messages ("model"). An absent member or null gives the
// fallback, or kMalformed where there is none; another type is kMalformed.
Result<bool> get_bool(const JsonTree& object, std::string_view where, std::string_view name, bool fallback);
// The view points into the tree, or is the fallback.
Result<std::string_view> get_string(const JsonTree& object, std::string_view where, std::string_view name,
                                    std::optional<std::string_view> fallback = std::nullopt);
// An integer in [0, limit). kTooLarge from `limit` on.
Result<int32_t> get_index(const JsonTree& object, std::string_view where, std::string_view name, int32_t limit);
// nullptr where absent or null.
Result<const JsonTree*> get_array(const JsonTree& object, std::string_view where, std::string_view name);
Result<const JsonTree*> get_object(const JsonTree& object, std::string_view where, std::string_view name);

}  // namespace sutra::text
