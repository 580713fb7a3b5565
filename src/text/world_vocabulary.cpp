#include "text/world_vocabulary.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
std::optional<T> take_number(std::string_view& text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// After the backslash. False: Python has no such escape.
bool take_escape(std::string_view& text, bool is_bytes, std::string& out) {
  static constexpr std::string_view kNames = "abfnrtv\\'\"";
  static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
  if (text.empty()) return false;
  const char name = text.front();
  text.remove_prefix(1);
  if (const size_t at = kNames.find(name); at != std::string_view::npos) {
    out += kValues[at];
    return true;
  }
  const size_t n_digits = name == 'x' ? 2 : is_bytes ? 0 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
  if (n_digits == 0 || text.size() < n_digits) return false;
  std::string_view digits = text.substr(0, n_digits);
  const auto value = take_number<uint32_t>(digits, 16);
  if (!value || !digits.empty()) return false;
  text.remove_prefix(n_digits);
  if (is_bytes) {
    out += static_cast<char>(*value);
    return true;
  }
  const bool is_character = *value <= 0x10ffff && (*value < 0xd800 || *value > 0xdfff);
  if (is_character) append_utf8(out, *value);
  return is_character;
}

// A Python literal's bytes; nothing if it is none.
std::optional<std::string> take_literal(std::string_view& text) {
  const bool is_bytes = take(text, "b");
  if (text.empty() || (text.front() != '\'' && text.front() != '"')) return std::nullopt;
  const char quote = text.front();
  text.remove_prefix(1);
  std::string out;
  while (!text.empty() && text.front() != quote) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      out += c;
    } else if (!take_escape(text, is_bytes, out)) {
      return std::nullopt;
    }
  }
  if (!take(text, std::string_view(&quote, 1))) return std::nullopt;
  return out;
}

Result<ByteToken> parse_line(std::string_view text, size_t number, int32_t limit) {
  const auto broken = [&](std::string_view what) {
    return fail(ErrorCode::kMalformed, "line ", number, " of the vocabulary ", what);
  };
  const auto id = take_number<int64_t>(text);
  if (!id || *id < 0 || !take(text, " ")) return broken("does not begin with a token's number");
  if (*id >= limit) return fail(ErrorCode::kTooLarge, "line ", number, " of the vocabulary has the number ", *id);
  auto bytes = take_literal(text);
  if (!bytes || bytes->empty()) return broken("has no literal of a token");
  const auto n_bytes = take(text, " ") ? take_number<size_t>(text) : std::nullopt;
  if (!n_bytes || !text.empty()) return broken("does not end with the token's length");
  if (*n_bytes != bytes->size()) {
    return broken(concat("says that its token has ", *n_bytes, " bytes; it has ", bytes->size()));
  }
  return ByteToken{static_cast<int32_t>(*id), *std::move(bytes)};
}

// Adds the token's bytes to the count.
Status count_bytes(const ByteToken& token, size_t& n_bytes) {
  n_bytes += token.bytes.size();
  if (n_bytes <= kMaxWorldTokenBytes) return {};
  return fail(ErrorCode::kTooLarge, "the vocabulary's tokens have more than ", kMaxWorldTokenBytes, " bytes");
}

}  // namespace

bool looks_like_world_vocabulary(std::span<const std::byte> file) {
  std::string_view text = text_of(file.first(std::min<size_t>(file.size(), 64)));
  return take_number<uint32_t>(text) && take(text, " ") && take_literal(text);
}

Status load_world_vocabulary(std::span<const std::byte> file, TokenizerData& data) {
  const auto limit = static_cast<int32_t>(std::min(file.size(), static_cast<size_t>(kMaxVocab)));
  std::vector<ByteToken> tokens;
  std::string_view rest = text_of(file);
  size_t n_bytes = 0;
  for (size_t number = 1; !rest.empty(); ++number) {
    std::string_view text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    if (text.ends_with('\r')) text.remove_suffix(1);
    SUTRA_ASSIGN(ByteToken token, parse_line(text, number, limit));
    SUTRA_TRY(count_bytes(token, n_bytes));
    tokens.push_back(std::move(token));
  }
  return load_byte_tokens(tokens, data);
}

Status load_byte_tokens(std::span<const ByteToken> tokens, TokenizerData& data) {
  if (tokens.empty()) return fail(ErrorCode::kMalformed, "the vocabulary is empty");
  int32_t largest = 0;
  size_t n_bytes = 0;
  for (const ByteToken& token : tokens) {
    if (token.bytes.empty()) return fail(ErrorCode::kMalformed, "token ", token.id, " of the vocabulary is empty");
    largest = std::max(largest, token.id);
    SUTRA_TRY(count_bytes(token, n_bytes));
  }
  const size_t n_ids = static_cast<size_t>(largest) + 1;
  data.vocabulary = Vocabulary(n_ids);
  data.flags.assign(n_ids, 0);
  for (const ByteToken& token : tokens) {
    if (!data.vocabulary.insert(token.id, spell_bytes(token.bytes))) {
      return fail(ErrorCode::kMalformed, "the vocabulary has the number ", token.id, " or its token '",
                  printable(token.bytes), "' for a second time");
    }
  }
  std::vector<LongestMatch::Token> sorted;
  sorted.reserve(tokens.size());
  for (const ByteToken& token : tokens) sorted.push_back({token.bytes, token.id});
  std::ranges::sort(sorted, {}, &LongestMatch::Token::bytes);
  data.longest_match = LongestMatch(sorted);
  return {};
}

std::optional<std::string> unescape_token(std::string_view repr) {
  std::string out;
  while (!repr.empty()) {
    const char c = repr.front();
    repr.remove_prefix(1);
    if (c != '\\') {
      out += c;
    } else if (!take_escape(repr, true, out)) {
      return std::nullopt;
    }
  }
  return out;
}

std::string escape_token(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  // repr quotes with ', unless that alone would need a backslash.
  const bool has_single_quotes = bytes.contains('"') || !bytes.contains('\'');
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || (c == '\'' && has_single_quotes)) {
      out += {'\\', c};
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace sutra::text
