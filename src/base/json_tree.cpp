#include "base/json_tree.h"

#include <algorithm>

namespace sutra {
namespace {

class TreeHandler final : public JsonHandler {
 public:
  Status scalar(JsonScalar value) override { return builder_.scalar(std::move(value)); }
  Status key(std::string name) override {
    builder_.key(std::move(name));
    return {};
  }
  Status start_object() override { return builder_.start(JsonTree::Kind::kObject); }
  Status end_object() override { return builder_.end(); }
  Status start_array() override { return builder_.start(JsonTree::Kind::kArray); }
  Status end_array() override { return builder_.end(); }

  JsonTree take() { return builder_.take(); }

 private:
  JsonTreeBuilder builder_;
};

}  // namespace

const JsonTree* JsonTree::find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &JsonMember::key);
  return found == members.end() || found->value.is_null() ? nullptr : &found->value;
}

std::string_view JsonTree::kind_name() const {
  switch (kind) {
    case Kind::kObject: return "an object";
    case Kind::kArray: return "an array";
    case Kind::kScalar: break;
  }
  return json_kind(scalar);
}

Result<JsonTree*> JsonTreeBuilder::add(JsonTree node) {
  if (++n_nodes_ > kMaxNodes) {
    return fail(ErrorCode::kTooLarge, "the JSON has more than ", kMaxNodes, " values");
  }
  if (open_.empty()) {
    root_ = std::move(node);
    return &root_;
  }
  JsonTree& parent = *open_.back();
  if (parent.kind == JsonTree::Kind::kArray) return &parent.items.emplace_back(std::move(node));
  parent.members.push_back({std::move(key_), std::move(node)});
  return &parent.members.back().value;
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
  for (const JsonMember& member : closed.members) names.emplace_back(member.key);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end()) return fail(ErrorCode::kMalformed, "an object has the key '", printable(*twice), "' twice");
  return {};
}

Result<JsonTree> read_json_tree(std::string_view text) {
  TreeHandler handler;
  SUTRA_TRY(read_json(text, handler));
  return handler.take();
}

namespace {

struct ScalarText {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const { return json_quote(value); }
  std::string operator()(double value) const { return json_number(value); }
  template <class Number>
  std::string operator()(Number value) const {
    return concat(value);
  }
};

void append_json(const JsonTree& tree, std::string& out) {
  if (tree.kind == JsonTree::Kind::kScalar) {
    out += std::visit(ScalarText(), tree.scalar);
    return;
  }
  const bool is_object = tree.kind == JsonTree::Kind::kObject;
  out += is_object ? '{' : '[';
  std::string_view comma;
  for (const JsonMember& member : tree.members) {
    out += concat(comma, json_quote(member.key), ": ");
    append_json(member.value, out);
    comma = ", ";
  }
  for (const JsonTree& item : tree.items) {
    out += comma;
    append_json(item, out);
    comma = ", ";
  }
  out += is_object ? '}' : ']';
}

}  // namespace

std::string json_text(const JsonTree& tree) {
  std::string out;
  append_json(tree, out);
  return out;
}

}  // namespace sutra
