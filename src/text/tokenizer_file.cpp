#include "text/tokenizer_file.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "text/tokenizer.h"

namespace sutra::text {
namespace {

// Positions in `texts` have 32 bits.
constexpr size_t kMaxFileBytes = size_t{1} << 30;

class Reader final : public JsonHandler {
 public:
  explicit Reader(size_t file_bytes) { file_.bytes = file_bytes; }

  Status scalar(JsonScalar value) override {
    switch (place_) {
      case Place::kTree: next_ = Table::kNone; return tree_.scalar(std::move(value));
      case Place::kVocab: return add_token(value);
      case Place::kMerges: return add_merge(value);
      case Place::kMergePair: return add_merge_part(value);
      case Place::kSkipped: return {};
    }
    return {};
  }

  Status key(std::string name) override {
    if (place_ == Place::kVocab) {
      key_ = std::move(name);
    } else if (place_ == Place::kTree) {
      if (tree_.depth() == 1) in_model_ = name == "model";
      const bool is_model_member = in_model_ && tree_.depth() == 2;
      next_ = !is_model_member   ? Table::kNone
              : name == "vocab"  ? Table::kVocab
              : name == "merges" ? Table::kMerges
                                 : Table::kNone;
      tree_.key(std::move(name));
    }
    return {};
  }

  Status start_object() override {
    if (place_ == Place::kSkipped) return deeper();
    if (place_ != Place::kTree) return fail(ErrorCode::kMalformed, "model has an object within a table");
    const Table table = std::exchange(next_, Table::kNone);
    if (table == Table::kMerges) return fail(ErrorCode::kMalformed, "model 'merges' must be an array and is an object");
    if (table == Table::kNone) return tree_.start(JsonTree::Kind::kObject);
    place_ = Place::kVocab;
    return claim(file_.has_vocab, "vocab");
  }

  Status end_object() override { return end(); }

  Status start_array() override {
    if (place_ == Place::kSkipped) return deeper();
    if (place_ == Place::kMerges) {
      place_ = Place::kMergePair;
      n_parts_ = 0;
      return {};
    }
    if (place_ != Place::kTree) return fail(ErrorCode::kMalformed, "model has an array within a table");
    switch (std::exchange(next_, Table::kNone)) {
      case Table::kNone: return tree_.start(JsonTree::Kind::kArray);
      case Table::kMerges: place_ = Place::kMerges; return claim(file_.has_merges, "merges");
      case Table::kVocab: break;
    }
    place_ = Place::kSkipped;
    skipped_depth_ = 1;
    return claim(file_.has_pieces, "vocab");
  }

  Status end_array() override {
    if (place_ != Place::kMergePair) return end();
    if (n_parts_ != 2) {
      return fail(ErrorCode::kMalformed, "merge ", file_.merges.size(), " must have 2 parts and has ", n_parts_);
    }
    place_ = Place::kMerges;
    file_.merges.push_back(pair_);
    return {};
  }

  TokenizerFile take() {
    file_.root = tree_.take();
    return std::move(file_);
  }

 private:
  enum class Place : uint8_t { kTree, kVocab, kMerges, kMergePair, kSkipped };
  enum class Table : uint8_t { kNone, kVocab, kMerges };

  static Status claim(bool& has, std::string_view name) {
    if (std::exchange(has, true)) return fail(ErrorCode::kMalformed, "model has '", name, "' twice");
    return {};
  }

  Status deeper() {
    ++skipped_depth_;
    return {};
  }

  Status end() {
    if (place_ == Place::kTree) return tree_.end();
    if (place_ == Place::kSkipped && --skipped_depth_ > 0) return {};
    place_ = Place::kTree;
    return {};
  }

  Status add_token(const JsonScalar& value) {
    const auto* id = std::get_if<uint64_t>(&value);
    if (id == nullptr) {
      return fail(ErrorCode::kMalformed, "the id of token '", printable(key_),
                  "' must be a whole number of 0 or more and is ", json_kind(value));
    }
    const uint64_t limit = std::min(static_cast<uint64_t>(kMaxVocab), static_cast<uint64_t>(file_.bytes));
    if (*id >= limit) {
      return fail(ErrorCode::kTooLarge, "the id of token '", printable(key_), "' is ", *id, " and must be below ",
                  limit);
    }
    file_.add_token(key_, static_cast<int32_t>(*id));
    return {};
  }

  // "left right". A line that starts with "#version" is the head of the old merges.txt.
  Status add_merge(const JsonScalar& value) {
    const auto* line = std::get_if<std::string>(&value);
    if (line == nullptr) return wrong_merge(json_kind(value));
    return line->starts_with("#version") ? Status() : file_.add_merge(*line);
  }

  // ["left", "right"]
  Status add_merge_part(const JsonScalar& value) {
    const auto* part = std::get_if<std::string>(&value);
    if (part == nullptr) return wrong_merge(json_kind(value));
    const uint32_t begin = file_.append(*part);
    const auto size = static_cast<uint32_t>(part->size());
    if (n_parts_ == 0) pair_ = {begin, size, 0};
    if (n_parts_ == 1) pair_.right_size = size;
    ++n_parts_;
    return {};
  }

  [[nodiscard]] Status wrong_merge(std::string_view kind) const {
    return fail(ErrorCode::kMalformed, "merge ", file_.merges.size(), " must be a string or two strings and has ",
                kind);
  }

  TokenizerFile file_;
  JsonTreeBuilder tree_;
  Place place_ = Place::kTree;
  Table next_ = Table::kNone;  // what the next value is
  bool in_model_ = false;
  std::string key_;
  size_t skipped_depth_ = 0;
  size_t n_parts_ = 0;
  TokenizerFile::Merge pair_{};
};

}  // namespace

uint32_t TokenizerFile::append(std::string_view text) {
  const auto begin = static_cast<uint32_t>(texts.size());
  texts += text;
  return begin;
}

void TokenizerFile::add_token(std::string_view token, int32_t id) {
  vocab.push_back({append(token), static_cast<uint32_t>(token.size()), id});
}

Status TokenizerFile::add_merge(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return fail(ErrorCode::kMalformed, "merge ", merges.size(), " must be two tokens with one space between and is '",
                printable(line), "'");
  }
  const uint32_t begin = append(line.substr(0, space));
  append(line.substr(space + 1));
  merges.push_back({begin, static_cast<uint32_t>(space), static_cast<uint32_t>(line.size() - space - 1)});
  return {};
}

Result<TokenizerFile> read_tokenizer_file(std::span<const std::byte> json) {
  if (json.size() > kMaxFileBytes) {
    return fail(ErrorCode::kTooLarge, "the tokenizer file has ", json.size(), " bytes; ", kMaxFileBytes,
                " is the limit");
  }
  Reader reader(json.size());
  SUTRA_TRY(read_json({reinterpret_cast<const char*>(json.data()), json.size()}, reader));
  return reader.take();
}

std::string tokenizer_file_text(const TokenizerFile& file) {
  std::string out = "{";
  for (const JsonMember& member : file.root.members) {
    out += concat(out.size() == 1 ? "\n  " : ",\n  ", json_quote(member.key), ": ");
    std::string value = json_text(member.value);
    if (member.key == "model") {
      value.pop_back();  // its brace
      out += value + ", \"vocab\": {";
      for (size_t i = 0; i < file.vocab.size(); ++i) {
        out += concat(i == 0 ? "\n    " : ",\n    ", json_quote(file.text(file.vocab[i])), ": ", file.vocab[i].id);
      }
      out += "\n  }, \"merges\": [";
      for (size_t i = 0; i < file.merges.size(); ++i) {
        const std::string merge = concat(file.left(file.merges[i]), " ", file.right(file.merges[i]));
        out += concat(i == 0 ? "\n    " : ",\n    ", json_quote(merge));
      }
      value = "\n  ]}";
    }
    out += value;
  }
  return out + "\n}\n";
}

}  // namespace sutra::text
