// A JSON value as a tree, for the small parts of a file. Big tables are read as events instead.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace sutra::text {

struct JsonTree {
  enum class Kind : uint8_t { kScalar, kObject, kArray };
  Kind kind = Kind::kScalar;
  JsonScalar scalar;
  std::vector<std::pair<std::string, JsonTree>> members;  // kObject, in the file's order
  std::vector<JsonTree> items;                            // kArray

  [[nodiscard]] bool is_null() const { return kind == Kind::kScalar && scalar.index() == 0; }
  // nullptr: no such member, or null, or this is no object.
  [[nodiscard]] const JsonTree* find(std::string_view name) const;
  // "an object", "an array" or the kind of the scalar.
  [[nodiscard]] std::string_view kind_name() const;
};

// Members by type. `where` names the object in messages ("model"). An absent member or null gives the
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

}  // namespace sutra::text
