#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

bool is_class_before(std::string_view text, size_t at, uint32_t classes) {
  return at > 0 && is_in(decode_utf8(text, character_begin(text, at - 1)).value, classes);
}

bool is_class_at(std::string_view text, size_t at, uint32_t classes) {
  return at < text.size() && is_in(decode_utf8(text, at).value, classes);
}

}  // namespace

AddedTokenSet::AddedTokenSet(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  // Of equal contents (after normalization) the lowest id counts.
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.content != b.content ? a.content < b.content : a.id < b.id;
  });
  for (const AddedToken& token : tokens_) {
    SUTRA_ASSERT(!token.content.empty() && token.content.size() <= kMaxAddedTokenBytes);
    starts_[static_cast<uint8_t>(token.content[0])] = true;
  }
}

const AddedToken* AddedTokenSet::longest_at(std::string_view text, size_t at) const {
  const AddedToken* found = nullptr;
  // [first, last): the tokens whose first `depth` bytes are those of the text; the shortest comes first.
  auto first = tokens_.begin();
  auto last = tokens_.end();
  for (size_t depth = 0; first != last && at + depth < text.size(); ++depth) {
    const auto byte = static_cast<uint8_t>(text[at + depth]);
    const auto byte_of = [depth](const AddedToken& token) { return static_cast<uint8_t>(token.content[depth]); };
    while (first != last && first->content.size() == depth) ++first;
    first = std::lower_bound(first, last, byte, [&](const AddedToken& token, uint8_t b) { return byte_of(token) < b; });
    last = std::upper_bound(first, last, byte, [&](uint8_t b, const AddedToken& token) { return b < byte_of(token); });
    if (first != last && first->content.size() == depth + 1) found = &*first;
  }
  return found;
}

void AddedTokenSet::split(std::string_view text, std::vector<Part>& out) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    if (!starts_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const AddedToken* token = longest_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    Offset bytes{at, at + token->content.size()};
    at = bytes.end;
    if (token->single_word && (is_class_before(text, bytes.begin, kWords) || is_class_at(text, bytes.end, kWords))) {
      continue;
    }
    if (token->lstrip) {
      while (bytes.begin > done && is_class_before(text, bytes.begin, kSpaces)) {
        bytes.begin = character_begin(text, bytes.begin - 1);
      }
    }
    if (token->rstrip) {
      while (is_class_at(text, bytes.end, kSpaces)) bytes.end = character_end(text, bytes.end);
      at = bytes.end;
    }
    if (done < bytes.begin) out.push_back({{done, bytes.begin}, Part::kNoToken});
    out.push_back({bytes, token->id});
    done = bytes.end;
  }
  if (done < text.size()) out.push_back({{done, text.size()}, Part::kNoToken});
}

}  // namespace sutra::text
