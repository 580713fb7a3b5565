#include "runtime/gguf_tokenizer.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer_data.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_load.h"
#include "text/world_vocabulary.h"

namespace sutra {
namespace {

// Tokens that are found in texts: the published vocabularies have some thousand at most.
constexpr size_t kMaxAddedTokens = 1 << 14;

// Of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Values of tokenizer.ggml.pre, and what they say about words. Tokenizers came to be called by the names of models that use
// them: "mpt" and "olmo" are GPT-NeoX's, which also composes characters (NFC).
using text::WordRule;
struct PreTokenizer {
  std::string_view name;
  WordRule rule = WordRule::kGpt2;
  bool has_nfc = false;
  bool ignores_merges = false;  // for words that are a token
  bool adds_bos = false;        // where the file does not say it
};
// What is written has the first name that fits.
constexpr PreTokenizer kPreTokenizers[] = {
    {"gpt-2"},
    {"gpt2"},
    {"default"},
    {"mpt", WordRule::kGpt2, true},
    {"gpt-neox", WordRule::kGpt2, true},
    {"olmo", WordRule::kGpt2, true},
    {"llama-bpe", WordRule::kLlama3, false, true, true},
    {"llama3", WordRule::kLlama3, false, true, true},
    {"llama-v3", WordRule::kLlama3, false, true, true},
    {"falcon-h1", WordRule::kLlama3, false, true, true},
    {"qwen2", WordRule::kQwen2, true},
    {"gpt-4o", WordRule::kO200k},
};

struct Tokens {
  const GgufArray* texts = nullptr;
  const GgufArray* types = nullptr;  // null: all of them normal

  [[nodiscard]] size_t size() const { return texts->size(); }
  [[nodiscard]] TokenType type(size_t id) const {
    return types == nullptr ? TokenType::kNormal : static_cast<TokenType>(types->i32(id));
  }
};

// Arrays with an entry for each token.
Result<const GgufArray*> find_column(const GgufMetadata& metadata, std::string_view key, GgufType element, size_t n) {
  SUTRA_ASSIGN(const GgufArray* const column, metadata.find_array(key, element));
  if (column != nullptr && column->size() != n) {
    return fail(ErrorCode::kMalformed, "metadata '", key, "': expected ", n, " elements, one a token, found ",
                column->size());
  }
  return column;
}

// <0xHH>
bool is_byte_token(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); };
  return text.size() == 6 && text.starts_with("<0x") && is_hex(text[3]) && is_hex(text[4]) && text[5] == '>';
}

// SentencePiece's table of normalisations: the size of a trie in four bytes, the trie, texts.
Status check_charsmap(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  if (metadata.find(kKey) == nullptr) return {};
  auto map = metadata.find_array(kKey, GgufType::kU8);
  if (!map) map = metadata.find_array(kKey, GgufType::kI8);
  if (!map) return std::unexpected(map.error());
  uint32_t trie_bytes = 0;
  const std::vector<std::byte>& bytes = (*map)->bytes;
  if (bytes.size() < sizeof trie_bytes) {
    return fail(ErrorCode::kMalformed, "metadata '", kKey, "' has ", bytes.size(), " bytes; its size field has 4");
  }
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  if (trie_bytes > bytes.size() - sizeof trie_bytes) {
    return fail(ErrorCode::kMalformed, "metadata '", kKey, "' announces a trie of ", trie_bytes, " bytes and has ",
                bytes.size() - sizeof trie_bytes);
  }
  return {};
}

Status check_special_ids(const GgufMetadata& metadata, size_t n_tokens) {
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with("tokenizer.ggml.") || !key.ends_with("_token_id")) continue;
    const auto* const id = std::get_if<uint64_t>(&value.value);
    if (id == nullptr || *id >= n_tokens) {
      return fail(ErrorCode::kMalformed, "metadata '", printable(key), "': expected an unsigned id below ", n_tokens,
                  ", found ", id == nullptr ? std::string(gguf_type_name(value.type)) : std::to_string(*id));
    }
  }
  return {};
}

// What all kinds have, checked whether or not the kind is one that can be used.
Result<Tokens> read_tokens(const GgufMetadata& metadata) {
  Tokens tokens;
  SUTRA_ASSIGN(tokens.texts, metadata.find_array("tokenizer.ggml.tokens", GgufType::kString));
  if (tokens.texts == nullptr) return fail(ErrorCode::kNotFound, "the file has no tokenizer.ggml.tokens");
  const size_t n_tokens = tokens.size();
  if (n_tokens == 0) return fail(ErrorCode::kMalformed, "metadata 'tokenizer.ggml.tokens' is empty");
  if (n_tokens > static_cast<size_t>(text::kMaxVocab)) {
    return fail(ErrorCode::kTooLarge, "the vocabulary has ", n_tokens, " tokens; at most ", text::kMaxVocab,
                " are allowed");
  }
  SUTRA_TRY(find_column(metadata, "tokenizer.ggml.scores", GgufType::kF32, n_tokens));
  SUTRA_ASSIGN(tokens.types, find_column(metadata, "tokenizer.ggml.token_type", GgufType::kI32, n_tokens));
  SUTRA_TRY(check_special_ids(metadata, n_tokens));
  SUTRA_TRY(check_charsmap(metadata));
  for (size_t id = 0; id < n_tokens; ++id) {
    const TokenType type = tokens.type(id);
    if (type < TokenType::kUndefined || type > TokenType::kByte) {
      return fail(ErrorCode::kMalformed, "token ", id, " has the unknown type ", static_cast<int32_t>(type));
    }
    if (type == TokenType::kByte && !is_byte_token(tokens.texts->text(id))) {
      return fail(ErrorCode::kMalformed, "token ", id, ": expected a byte token <0xHH>, found '",
                  printable(tokens.texts->text(id)), "'");
    }
  }
  return tokens;
}

Result<std::vector<text::ByteToken>> world_tokens(const Tokens& tokens) {
  std::vector<text::ByteToken> byte_tokens;
  byte_tokens.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const TokenType type = tokens.type(id);
    if (type == TokenType::kControl || type == TokenType::kUnused || type == TokenType::kUnknown) continue;
    auto bytes = text::unescape_token(tokens.texts->text(id));
    if (!bytes) {
      return fail(ErrorCode::kMalformed, "token ", id, " has an unknown escape: '", printable(tokens.texts->text(id)),
                  "'");
    }
    byte_tokens.push_back({static_cast<int32_t>(id), std::move(*bytes)});
  }
  return byte_tokens;
}

// The lines of the vocabulary's file, all tokens as bytes.
std::string world_text(std::span<const text::ByteToken> tokens) {
  std::string out;
  for (const text::ByteToken& token : tokens) {
    const std::string spelled = text::escape_token(token.bytes);
    // escape_token() leaves ' alone where repr would quote with ".
    const char quote = token.bytes.contains('\'') && !token.bytes.contains('"') ? '"' : '\'';
    out += concat(token.id, " b", quote, spelled, quote, " ", token.bytes.size(), "\n");
  }
  return out;
}

JsonTree json_scalar(JsonScalar value) { return {JsonTree::Kind::kScalar, std::move(value), {}, {}}; }
JsonTree json_object(std::vector<JsonMember> members) { return {JsonTree::Kind::kObject, {}, std::move(members), {}}; }
JsonTree json_array(std::vector<JsonTree> items) { return {JsonTree::Kind::kArray, {}, {}, std::move(items)}; }

// Special tokens are found before characters are composed, others after.
JsonTree added_token(std::string_view text, size_t id, bool is_special) {
  return json_object({{"id", json_scalar(uint64_t{id})},
                      {"content", json_scalar(std::string(text))},
                      {"single_word", json_scalar(false)},
                      {"lstrip", json_scalar(false)},
                      {"rstrip", json_scalar(false)},
                      {"normalized", json_scalar(!is_special)},
                      {"special", json_scalar(is_special)}});
}

// A piece of a post-processor's template.
JsonTree template_piece(std::string kind, std::string_view id, uint64_t type_id) {
  return json_object(
      {{std::move(kind), json_object({{"id", json_scalar(std::string(id))}, {"type_id", json_scalar(type_id)}})}});
}

// A post-processor: begin of text, text, end of text.
Result<JsonTree> special_tokens_around(const GgufMetadata& metadata, const Tokens& tokens, bool adds_bos) {
  std::vector<JsonTree> single = {template_piece("Sequence", "A", 0)};
  std::vector<JsonMember> ids;
  const auto add = [&](std::string_view name, bool by_default, auto place) -> Status {
    SUTRA_ASSIGN(const auto adds, metadata.find_bool(concat("tokenizer.ggml.add_", name, "_token")));
    SUTRA_ASSIGN(const auto id, metadata.find_uint(concat("tokenizer.ggml.", name, "_token_id")));
    if (!adds.value_or(by_default) || !id) return {};
    const std::string token(tokens.texts->text(static_cast<size_t>(*id)));  // read_tokens() checked it
    single.insert(place(), template_piece("SpecialToken", token, 0));
    if (std::ranges::find(ids, token, &JsonMember::key) != ids.end()) return {};  // one token for both
    ids.push_back({token, json_object({{"id", json_scalar(token)},
                                       {"ids", json_array({json_scalar(*id)})},
                                       {"tokens", json_array({json_scalar(token)})}})});
    return {};
  };
  SUTRA_TRY(add("bos", adds_bos, [&] { return single.begin(); }));
  SUTRA_TRY(add("eos", false, [&] { return single.end(); }));
  return json_object({{"type", json_scalar(std::string("TemplateProcessing"))},
                      {"single", json_array(std::move(single))},
                      {"pair", json_array({template_piece("Sequence", "A", 0), template_piece("Sequence", "B", 1)})},
                      {"special_tokens", json_object(std::move(ids))}});
}

JsonTree byte_level(bool cuts_words) {
  return json_object({{"type", json_scalar(std::string("ByteLevel"))},
                      {"add_prefix_space", json_scalar(false)},
                      {"trim_offsets", json_scalar(true)},
                      {"use_regex", json_scalar(cuts_words)}});
}

// GPT-2's rule is that of ByteLevel itself.
JsonTree words_of(WordRule rule) {
  if (rule == WordRule::kGpt2) return byte_level(true);
  const JsonTree expression = json_scalar(std::string(text::word_expression(rule)));
  const JsonTree split = json_object({{"type", json_scalar(std::string("Split"))},
                                      {"pattern", json_object({{"Regex", expression}})},
                                      {"behavior", json_scalar(std::string("Isolated"))},
                                      {"invert", json_scalar(false)}});
  return json_object(
      {{"type", json_scalar(std::string("Sequence"))}, {"pretokenizers", json_array({split, byte_level(false)})}});
}

// The metadata as the tokenizer.json that would say the same.
Result<text::TokenizerFile> bpe_file(const GgufMetadata& metadata, const Tokens& tokens) {
  SUTRA_ASSIGN(const auto pre, metadata.find_string("tokenizer.ggml.pre"));
  const std::string_view pre_name = pre.value_or("default");
  const auto pre_tokenizer = std::ranges::find(kPreTokenizers, pre_name, &PreTokenizer::name);
  if (pre_tokenizer == std::end(kPreTokenizers)) {
    return fail(ErrorCode::kUnsupported, "its tokenizer cuts words by the rule '", printable(pre_name),
                "', which is not supported");
  }
  SUTRA_ASSIGN(const GgufArray* const merges, metadata.find_array("tokenizer.ggml.merges", GgufType::kString));
  if (merges == nullptr) return fail(ErrorCode::kMalformed, "metadata 'tokenizer.ggml.merges' is missing");

  text::TokenizerFile file;
  file.has_vocab = file.has_merges = true;
  file.bytes = tokens.size();
  file.texts.reserve(tokens.texts->bytes.size() + merges->bytes.size());
  std::vector<JsonTree> added;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens.texts->text(id);
    switch (tokens.type(id)) {
      case TokenType::kUndefined:
      case TokenType::kNormal:
      case TokenType::kUnknown: file.add_token(token, static_cast<int32_t>(id)); break;
      case TokenType::kControl: added.push_back(added_token(token, id, true)); break;
      case TokenType::kUserDefined: added.push_back(added_token(token, id, false)); break;
      case TokenType::kUnused: break;
      case TokenType::kByte:
        return fail(ErrorCode::kUnsupported, "its tokenizer has byte tokens such as '", printable(token), "'");
    }
    if (added.size() > kMaxAddedTokens) {
      return fail(ErrorCode::kTooLarge, "the vocabulary has more than ", kMaxAddedTokens, " control tokens");
    }
  }
  for (size_t i = 0; i < merges->size(); ++i) SUTRA_TRY(file.add_merge(merges->text(i)));

  SUTRA_ASSIGN(JsonTree post_processor, special_tokens_around(metadata, tokens, pre_tokenizer->adds_bos));
  const JsonTree nfc = json_object({{"type", json_scalar(std::string("NFC"))}});
  std::vector<JsonMember> root;
  root.push_back({"version", json_scalar(std::string("1.0"))});
  root.push_back({"added_tokens", json_array(std::move(added))});
  root.push_back({"normalizer", pre_tokenizer->has_nfc ? nfc : json_scalar({})});
  root.push_back({"pre_tokenizer", words_of(pre_tokenizer->rule)});
  root.push_back({"post_processor", std::move(post_processor)});
  root.push_back({"decoder", byte_level(true)});
  root.push_back({"model", json_object({{"type", json_scalar(std::string("BPE"))},
                                        {"ignore_merges", json_scalar(pre_tokenizer->ignores_merges)}})});
  file.root = json_object(std::move(root));
  return file;
}

// The tokenizer of one kind or the other; kUnsupported for others.
template <class World, class Bpe>
auto with_kind(const GgufMetadata& metadata, const World& world, const Bpe& bpe)
    -> decltype(world(std::vector<text::ByteToken>())) {
  SUTRA_ASSIGN(const auto model, metadata.find_string("tokenizer.ggml.model"));
  SUTRA_ASSIGN(const Tokens tokens, read_tokens(metadata));
  if (model == "rwkv") {
    SUTRA_ASSIGN(const std::vector<text::ByteToken> byte_tokens, world_tokens(tokens));
    return world(byte_tokens);
  }
  if (model == "gpt2") {
    SUTRA_ASSIGN(const text::TokenizerFile file, bpe_file(metadata, tokens));
    return bpe(file);
  }
  return fail(ErrorCode::kUnsupported, "its tokenizer is of the kind '", printable(model.value_or("")),
              "'; 'gpt2' and 'rwkv' are supported");
}

// Tokens of a file to be written, by id.
struct TokenColumn {
  std::vector<std::string> texts;
  std::vector<int32_t> types;

  explicit TokenColumn(size_t n) : texts(n), types(n, static_cast<int32_t>(TokenType::kUnused)) {
    for (size_t id = 0; id < n; ++id) texts[id] = concat("[PAD", id, "]");
  }
  void set(int32_t id, std::string text, TokenType type) {
    texts[static_cast<size_t>(id)] = std::move(text);
    types[static_cast<size_t>(id)] = static_cast<int32_t>(type);
  }
  void write(GgufMetadata& out) const {
    out.add_texts("tokenizer.ggml.tokens", texts);
    out.add_i32s("tokenizer.ggml.token_type", types);
  }
};

void write_world(const text::Tokenizer& tokenizer, size_t vocab_size, GgufMetadata& out) {
  TokenColumn tokens(vocab_size);
  // Id 0 ends texts and is no token of the vocabulary.
  tokens.set(0, "<s>", TokenType::kControl);
  for (int32_t id = 1; id < static_cast<int32_t>(tokenizer.vocab_size()); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    if (!bytes.empty()) tokens.set(id, text::escape_token(bytes), TokenType::kNormal);
  }
  out.add_text("tokenizer.ggml.model", "rwkv");
  tokens.write(out);
}

// The name that says what the tokenizer does beside its tables.
Result<std::string_view> pre_tokenizer_name(const text::TokenizerFile& file) {
  text::TokenizerData data;
  SUTRA_TRY(text::load_tokenizer(file, data));
  const auto fits = [&](const PreTokenizer& one) {
    return one.rule == data.word_rule && one.has_nfc == data.has_nfc && one.ignores_merges == data.ignore_merges;
  };
  const auto found = std::ranges::find_if(kPreTokenizers, fits);
  if (found != std::end(kPreTokenizers) && !data.add_prefix_space) return found->name;
  return fail(ErrorCode::kUnsupported, "the tokenizer's rule for words has no name in GGUF files that we write");
}

Status write_bpe(const text::TokenizerFile& file, size_t vocab_size, GgufMetadata& out) {
  SUTRA_ASSIGN(const std::string_view pre, pre_tokenizer_name(file));
  TokenColumn tokens(vocab_size);
  for (const auto& token : file.vocab) tokens.set(token.id, std::string(file.text(token)), TokenType::kNormal);
  SUTRA_ASSIGN(const JsonTree* const added, text::get_array(file.root, "tokenizer.json", "added_tokens"));
  if (added != nullptr) {
    for (const JsonTree& token : added->items) {
      SUTRA_ASSIGN(const int32_t id, text::get_index(token, "added_tokens", "id", text::kMaxVocab));
      SUTRA_ASSIGN(const std::string_view content, text::get_string(token, "added_tokens", "content"));
      SUTRA_ASSIGN(const bool is_special, text::get_bool(token, "added_tokens", "special", false));
      tokens.set(id, std::string(content), is_special ? TokenType::kControl : TokenType::kUserDefined);
    }
  }
  std::vector<std::string> merges;
  merges.reserve(file.merges.size());
  for (const auto& merge : file.merges) merges.push_back(concat(file.left(merge), " ", file.right(merge)));
  out.add_text("tokenizer.ggml.model", "gpt2");
  out.add_text("tokenizer.ggml.pre", std::string(pre));
  tokens.write(out);
  out.add_texts("tokenizer.ggml.merges", merges);
  return {};
}

}  // namespace

bool has_no_known_tokenizer(const Error& error) {
  return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kNotFound;
}

Result<text::Tokenizer> gguf_tokenizer(const GgufMetadata& metadata) {
  return with_kind(
      metadata, [](const std::vector<text::ByteToken>& tokens) { return text::Tokenizer::from_byte_tokens(tokens); },
      [](const text::TokenizerFile& file) { return text::Tokenizer::from_tables(file); });
}

Result<NamedText> gguf_tokenizer_file(const GgufMetadata& metadata) {
  SUTRA_TRY(gguf_tokenizer(metadata));  // what is written can be read
  using Text = Result<NamedText>;
  return with_kind(
      metadata,
      [](const std::vector<text::ByteToken>& tokens) -> Text {
        return NamedText{"rwkv_vocab_v20230424.txt", world_text(tokens)};
      },
      [](const text::TokenizerFile& file) -> Text {
        return NamedText{"tokenizer.json", text::tokenizer_file_text(file)};
      });
}

Status write_gguf_tokenizer(std::span<const std::byte> file, size_t vocab_size, GgufMetadata& out) {
  if (vocab_size > size_t{text::kMaxVocab}) {
    return fail(ErrorCode::kTooLarge, "a vocabulary of ", vocab_size, " ids; a tokenizer has at most ",
                text::kMaxVocab);
  }
  SUTRA_ASSIGN(const text::Tokenizer tokenizer, text::Tokenizer::from_file(file));
  if (tokenizer.vocab_size() > vocab_size) {
    return fail(ErrorCode::kInvalidArgument, "the tokenizer has ids up to ", tokenizer.vocab_size() - 1,
                ", the model's vocabulary ends at ", vocab_size - 1, ": they do not belong together");
  }
  if (text::looks_like_world_vocabulary(file)) {
    write_world(tokenizer, vocab_size, out);
    return {};
  }
  SUTRA_ASSIGN(const text::TokenizerFile tables, text::read_tokenizer_file(file));
  return write_bpe(tables, vocab_size, out);
}

}  // namespace sutra
