#include "text/json_members.h"

namespace sutra::text {
namespace {

std::unexpected<Error> wrong_kind(std::string_view where, std::string_view name, std::string_view expected,
                                  const JsonTree& found) {
  return fail(ErrorCode::kMalformed, where, " '", name, "' must be ", expected, " and is ", found.kind_name());
}

std::unexpected<Error> missing(std::string_view where, std::string_view name) {
  return fail(ErrorCode::kMalformed, where, " has no '", name, "'");
}

Result<const JsonTree*> get_container(const JsonTree& object, std::string_view where, std::string_view name,
                                      JsonTree::Kind kind, std::string_view kind_name) {
  const JsonTree* member = object.find(name);
  if (member != nullptr && member->kind != kind) return wrong_kind(where, name, kind_name, *member);
  return member;
}

}  // namespace

Result<bool> get_bool(const JsonTree& object, std::string_view where, std::string_view name, bool fallback) {
  const JsonTree* member = object.find(name);
  if (member == nullptr) return fallback;
  const bool* value = member->get<bool>();
  if (value == nullptr) return wrong_kind(where, name, "a boolean", *member);
  return *value;
}

Result<std::string_view> get_string(const JsonTree& object, std::string_view where, std::string_view name,
                                    std::optional<std::string_view> fallback) {
  const JsonTree* member = object.find(name);
  if (member == nullptr && fallback) return *fallback;
  if (member == nullptr) return missing(where, name);
  const auto* value = member->get<std::string>();
  if (value == nullptr) return wrong_kind(where, name, "a string", *member);
  return *value;
}

Result<int32_t> get_index(const JsonTree& object, std::string_view where, std::string_view name, int32_t limit) {
  const JsonTree* member = object.find(name);
  if (member == nullptr) return missing(where, name);
  const auto* value = member->get<uint64_t>();
  if (value == nullptr) return wrong_kind(where, name, "a whole number of 0 or more", *member);
  if (*value >= static_cast<uint64_t>(limit)) {
    return fail(ErrorCode::kTooLarge, where, " '", name, "' is ", *value, " and must be below ", limit);
  }
  return static_cast<int32_t>(*value);
}

Result<const JsonTree*> get_array(const JsonTree& object, std::string_view where, std::string_view name) {
  return get_container(object, where, name, JsonTree::Kind::kArray, "an array");
}

Result<const JsonTree*> get_object(const JsonTree& object, std::string_view where, std::string_view name) {
  return get_container(object, where, name, JsonTree::Kind::kObject, "an object");
}

}  // namespace sutra::text
