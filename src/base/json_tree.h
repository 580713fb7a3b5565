// A JSON value as a tree, for the small parts of a file. Big tables are read as events instead (base/json.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace sutra {

struct JsonMember;

struct JsonTree {
  enum class Kind : uint8_t { kScalar, kObject, kArray };
  Kind kind = Kind::kScalar;
  JsonScalar scalar;
  std::vector<JsonMember> members;  // kObject, in the file's order, each key once
  std::vector<JsonTree> items;      // kArray

  [[nodiscard]] bool is_null() const { return kind == Kind::kScalar && scalar.index() == 0; }
  // nullptr: this is no scalar of that type.
  template <class T>
  [[nodiscard]] const T* get() const {
    return kind == Kind::kScalar ? std::get_if<T>(&scalar) : nullptr;
  }
  // nullptr: no such member, or null, or this is no object.
  [[nodiscard]] const JsonTree* find(std::string_view name) const;
  // "an object", "an array" or the kind of the scalar.
  [[nodiscard]] std::string_view kind_name() const;
};

struct JsonMember {
  std::string key;
  JsonTree value;
};

// Grows a tree from events. At most kMaxNodes values: memory is bounded whatever the file says.
class JsonTreeBuilder {
 public:
  static constexpr size_t kMaxNodes = size_t{1} << 18;

  Status scalar(JsonScalar value);
  void key(std::string name) { key_ = std::move(name); }
  Status start(JsonTree::Kind kind);
  // kMalformed if an object ends that has a key twice.
  Status end();

  [[nodiscard]] size_t depth() const { return open_.size(); }
  // Precondition: the events of one whole value have been given.
  [[nodiscard]] JsonTree take() { return std::move(root_); }

 private:
  Result<JsonTree*> add(JsonTree node);

  JsonTree root_;
  std::vector<JsonTree*> open_;  // ancestors of the next value; only the last one grows
  std::string key_;
  size_t n_nodes_ = 0;
};

// A whole text as a tree.
Result<JsonTree> read_json_tree(std::string_view text);

// The tree as text, on one line.
std::string json_text(const JsonTree& tree);

}  // namespace sutra
