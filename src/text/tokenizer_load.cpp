#include "text/tokenizer_load.h"

#include <algorithm>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/nfc.h"

namespace sutra::text {
namespace {

struct ModelOptions {
  std::string_view unk_token;  // of the file's tree
  bool byte_fallback;
};

Result<ModelOptions> load_model_options(const TokenizerFile& file, TokenizerData& data) {
  SUTRA_ASSIGN(const JsonTree* const model, get_object(file.root, "the file", "model"));
  if (model == nullptr) return fail(ErrorCode::kMalformed, "the file has no 'model'");
  // Old files do not say the type; of all models only BPE has merges.
  const char* const implied = file.has_pieces ? "Unigram" : file.has_merges ? "BPE" : "without merges";
  SUTRA_ASSIGN(const std::string_view type, get_string(*model, "model", "type", implied));
  if (type != "BPE") return fail(ErrorCode::kUnsupported, "model '", printable(type), "' is not supported");
  if (!file.has_vocab || !file.has_merges) {
    return fail(ErrorCode::kMalformed, "model 'BPE' has no '", file.has_vocab ? "merges" : "vocab",
                "' of the right type");
  }
  for (const char* const name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    SUTRA_ASSIGN(const std::string_view affix, get_string(*model, "model", name, ""));
    if (!affix.empty()) return fail(ErrorCode::kUnsupported, "model option '", name, "' is not supported");
  }
  if (const JsonTree* const dropout = model->find("dropout")) {
    const auto* const rate = std::get_if<double>(&dropout->scalar);
    const auto* const whole = std::get_if<uint64_t>(&dropout->scalar);
    const bool is_off = (rate != nullptr && *rate == 0) || (whole != nullptr && *whole == 0);
    if (!is_off) return fail(ErrorCode::kUnsupported, "model option 'dropout' is not supported");
  }
  SUTRA_ASSIGN(data.fuse_unknown, get_bool(*model, "model", "fuse_unk", false));
  SUTRA_ASSIGN(data.ignore_merges, get_bool(*model, "model", "ignore_merges", false));
  ModelOptions options;
  SUTRA_ASSIGN(options.unk_token, get_string(*model, "model", "unk_token", ""));
  SUTRA_ASSIGN(options.byte_fallback, get_bool(*model, "model", "byte_fallback", false));
  return options;
}

Result<std::vector<AddedToken>> load_added_tokens(const TokenizerFile& file) {
  SUTRA_ASSIGN(const JsonTree* const list, get_array(file.root, "the file", "added_tokens"));
  std::vector<AddedToken> tokens;
  if (list == nullptr) return tokens;
  const auto limit = static_cast<int32_t>(std::min(file.bytes, static_cast<size_t>(kMaxVocab)));
  for (const JsonTree& item : list->items) {
    constexpr std::string_view kWhere = "added token";
    AddedToken token;
    SUTRA_ASSIGN(token.content, get_string(item, kWhere, "content"));
    SUTRA_ASSIGN(token.id, get_index(item, kWhere, "id", limit));
    SUTRA_ASSIGN(token.single_word, get_bool(item, kWhere, "single_word", false));
    SUTRA_ASSIGN(token.lstrip, get_bool(item, kWhere, "lstrip", false));
    SUTRA_ASSIGN(token.rstrip, get_bool(item, kWhere, "rstrip", false));
    SUTRA_ASSIGN(token.special, get_bool(item, kWhere, "special", false));
    SUTRA_ASSIGN(token.normalized, get_bool(item, kWhere, "normalized", !token.special));
    if (token.content.empty()) return fail(ErrorCode::kMalformed, "added token ", token.id, " has no content");
    if (token.content.size() > kMaxAddedTokenBytes) {
      return fail(ErrorCode::kTooLarge, "added token ", token.id, " has ", token.content.size(), " bytes; ",
                  kMaxAddedTokenBytes, " is the limit");
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Status load_vocabulary(const TokenizerFile& file, const std::vector<AddedToken>& added, TokenizerData& data) {
  if (file.vocab.empty()) return fail(ErrorCode::kMalformed, "model 'vocab' is empty");
  int32_t largest = 0;
  for (const auto& token : file.vocab) largest = std::max(largest, token.id);
  for (const AddedToken& token : added) largest = std::max(largest, token.id);
  const size_t n_ids = static_cast<size_t>(largest) + 1;
  data.vocabulary = Vocabulary(n_ids);
  data.flags.assign(n_ids, 0);
  for (const auto& token : file.vocab) {
    if (!data.vocabulary.insert(token.id, file.text(token))) {
      return fail(ErrorCode::kMalformed, "model 'vocab' has id ", token.id, " or token '", printable(file.text(token)),
                  "' twice");
    }
  }
  return {};
}

Status load_merges(const TokenizerFile& file, TokenizerData& data) {
  data.merges = MergeTable(file.merges.size());
  const auto missing = [&](uint32_t rank, std::string_view text) {
    return fail(ErrorCode::kMalformed, "merge ", rank, " uses '", printable(text), "', which is not in the vocabulary");
  };
  for (uint32_t rank = 0; rank < file.merges.size(); ++rank) {
    const auto& merge = file.merges[rank];
    if (merge.left_size == 0 || merge.right_size == 0) {
      return fail(ErrorCode::kMalformed, "merge ", rank, " has an empty part");
    }
    const auto left = data.vocabulary.find(file.left(merge));
    const auto right = data.vocabulary.find(file.right(merge));
    const auto result = data.vocabulary.find(file.joined(merge));
    if (!left) return missing(rank, file.left(merge));
    if (!right) return missing(rank, file.right(merge));
    if (!result) return missing(rank, file.joined(merge));
    data.merges.insert(*left, *right, {rank, *result});
  }
  return {};
}

// Precondition: the vocabulary holds the model's own tokens only.
Status load_bytes(const ModelOptions& options, TokenizerData& data) {
  bool is_complete = true;
  for (size_t byte = 0; byte < data.byte_ids.size(); ++byte) {
    const char character = static_cast<char>(byte);
    const auto id = data.vocabulary.find(spell_bytes({&character, 1}));
    data.byte_ids[byte] = id.value_or(TokenizerData::kNoToken);
    is_complete = is_complete && id.has_value();
  }
  if (is_complete) return {};
  if (options.byte_fallback) {
    return fail(ErrorCode::kUnsupported, "model option 'byte_fallback' is not supported where byte tokens are missing");
  }
  if (options.unk_token.empty()) return {};
  const auto unknown = data.vocabulary.find(options.unk_token);
  if (!unknown) {
    return fail(ErrorCode::kMalformed, "model 'unk_token' is '", printable(options.unk_token),
                "', which is not in the vocabulary");
  }
  data.unknown_id = *unknown;
  return {};
}

// Adds them to the vocabulary. One that the model has already keeps the model's id.
Status insert_added_tokens(std::vector<AddedToken> tokens, TokenizerData& data) {
  std::vector<AddedToken> as_written;
  std::vector<AddedToken> normalized;
  std::vector<bool> seen(data.flags.size());
  for (AddedToken& token : tokens) {
    const auto known = data.vocabulary.find(token.content);
    if (known) token.id = *known;
    const auto index = static_cast<size_t>(token.id);
    if (seen[index] || (!known && !data.vocabulary.insert(token.id, token.content))) {
      return fail(ErrorCode::kMalformed, "added token '", printable(token.content), "' has id ", token.id,
                  ", which another token has");
    }
    seen[index] = true;
    data.flags[index] |=
        static_cast<uint8_t>((token.special ? TokenizerData::kSpecial : 0) | (known ? 0 : TokenizerData::kAddedOnly));
    if (token.normalized && data.has_nfc) {
      if (auto composed = to_nfc(token.content)) token.content = std::move(composed->text);
      if (token.content.size() > kMaxAddedTokenBytes) {
        return fail(ErrorCode::kTooLarge, "added token ", token.id, " has ", token.content.size(),
                    " bytes when normalized; ", kMaxAddedTokenBytes, " is the limit");
      }
    }
    (token.normalized ? normalized : as_written).push_back(std::move(token));
  }
  data.added = AddedTokenSet(std::move(as_written));
  data.added_normalized = AddedTokenSet(std::move(normalized));
  return {};
}

}  // namespace

Status load_tokenizer(const TokenizerFile& file, TokenizerData& data) {
  if (file.root.kind != JsonTree::Kind::kObject) {
    return fail(ErrorCode::kMalformed, "a tokenizer file must be a JSON object and is ", file.root.kind_name());
  }
  SUTRA_ASSIGN(const ModelOptions options, load_model_options(file, data));
  SUTRA_TRY(load_normalizer(file.root, data));
  SUTRA_TRY(load_pre_tokenizer(file.root, data));
  SUTRA_TRY(check_decoder(file.root));
  SUTRA_ASSIGN(std::vector<AddedToken> added, load_added_tokens(file));
  SUTRA_TRY(load_vocabulary(file, added, data));
  SUTRA_TRY(load_merges(file, data));
  SUTRA_TRY(load_bytes(options, data));
  SUTRA_TRY(insert_added_tokens(std::move(added), data));
  return load_post_processor(file.root, data);
}

}  // namespace sutra::text
