#include "text/json_tree.h"

#include <algorithm>
#include <variant>

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

const JsonTree* JsonTree::find(std::string_view name) const {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
  return found == members.end() || found->second.is_null() ? nullptr : &found->second;
}

std::string_view JsonTree::kind_name() const {
  switch (kind) {
    case Kind::kObject: return "an object";
    case Kind::kArray: return "an array";
    case Kind::kScalar: break;
  }
  return json_kind(scalar);
}

Result<bool> get_bool(const JsonTree& object, std::string_view where, std::string_view name, bool fallback) {
  const JsonTree* member = object.find(name);
  if (member == nullptr) return fallback;
  const bool* value = member->kind == JsonTree::Kind::kScalar ? std::get_if<bool>(&member->scalar) : nullptr;
  if (value == nullptr) return wrong_kind(where, name, "a boolean", *member);
  return *value;
}

Result<std::string_view> get_string(const JsonTree& object, std::string_view where, std::string_view name,
                                    std::optional<std::string_view> fallback) {
  const JsonTree* member = object.find(name);
  if (member == nullptr && fallback) return *fallback;
  if (member == nullptr) return missing(where, name);
  const auto* value = member->kind == JsonTree::Kind::kScalar ? std::get_if<std::string>(&member->scalar) : nullptr;
  if (value == nullptr) return wrong_kind(where, name, "a string", *member);
  return *value;
}

Result<int32_t> get_index(const JsonTree& object, std::string_view where, std::string_view name, int32_t limit) {
  const JsonTree* member = object.find(name);
  if (member == nullptr) return missing(where, name);
  const auto* value = member->kind == JsonTree::Kind::kScalar ? std::get_if<uint64_t>(&member->scalar) : nullptr;
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

Result<JsonTree*> JsonTreeBuilder::add(JsonTree node) {
  if (++n_nodes_ > kMaxNodes) {
    return fail(ErrorCode::kTooLarge, "the JSON has more than ", kMaxNodes, " values beside its big tables");
  }
  if (open_.empty()) {
    root_ = std::move(node);
    return &root_;
  }
  JsonTree& parent = *open_.back();
  if (parent.kind == JsonTree::Kind::kArray) return &parent.items.emplace_back(std::move(node));
  return &parent.members.emplace_back(std::move(key_), std::move(node)).second;
}

Status JsonTreeBuilder::scalar(JsonScalar value) {
  SUTRA_TRY(add({JsonTree::Kind::kScalar, std::move(value), {}, {}}));
  return {};
}

Status JsonTreeBuilder::start(JsonTree::Kind kind) {
  SUTRA_ASSIGN(JsonTree* const node, add({kind, {}, {}, {}}));
  open_.push_back(node);
  return {};
}

Status JsonTreeBuilder::end() {
  const JsonTree& closed = *open_.back();
  open_.pop_back();
  std::vector<std::string_view> names;
  names.reserve(closed.members.size());
  for (const auto& member : closed.members) names.emplace_back(member.first);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return fail(ErrorCode::kMalformed, "an object has the key '", printable(*twice), "' twice");
  return {};
}

}  // namespace sutra::text
