// What stands around the model: normalizer, pre-tokenizer, post-processor, decoder.
#include <algorithm>

#include "text/tokenizer_load.h"

namespace sutra::text {
namespace {

// Templates hold a handful of pieces; the bound keeps look-ups by name from growing with the file.
constexpr size_t kMaxTemplatePieces = 256;

std::unexpected<Error> unsupported(std::string_view part, std::string_view type) {
  return fail(ErrorCode::kUnsupported, part, " '", printable(type), "' is not supported");
}

// Calls visit(element, type) for the part itself or, if it is a "Sequence", for each of its elements.
template <class Visit>
Status each_element(const JsonTree& part, std::string_view part_name, std::string_view list_name, const Visit& visit) {
  SUTRA_ASSIGN(const std::string_view type, get_string(part, part_name, "type"));
  if (type != "Sequence") return visit(part, type);
  SUTRA_ASSIGN(const JsonTree* const list, get_array(part, part_name, list_name));
  if (list == nullptr) return fail(ErrorCode::kMalformed, part_name, " 'Sequence' has no '", list_name, "'");
  for (const JsonTree& element : list->items) {
    SUTRA_ASSIGN(const std::string_view element_type, get_string(element, part_name, "type"));
    SUTRA_TRY(visit(element, element_type));
  }
  return {};
}

Status load_split(const JsonTree& split, TokenizerData& data) {
  constexpr std::string_view kWhere = "pre_tokenizer 'Split'";
  SUTRA_ASSIGN(const JsonTree* const pattern, get_object(split, kWhere, "pattern"));
  if (pattern == nullptr) return fail(ErrorCode::kMalformed, kWhere, " has no 'pattern'");
  if (pattern->find("Regex") == nullptr) return unsupported(kWhere, "pattern without Regex");
  SUTRA_ASSIGN(const std::string_view expression, get_string(*pattern, kWhere, "Regex"));
  const auto rule = word_rule(expression);
  if (!rule) return unsupported("pre_tokenizer 'Split' with the expression", expression);
  SUTRA_ASSIGN(const std::string_view behavior, get_string(split, kWhere, "behavior"));
  if (behavior != "Isolated") return unsupported("pre_tokenizer 'Split' with behavior", behavior);
  SUTRA_ASSIGN(const bool invert, get_bool(split, kWhere, "invert", false));
  if (invert) return unsupported("pre_tokenizer 'Split' with", "invert");
  data.word_rule = *rule;
  return {};
}

Status load_byte_level(const JsonTree& byte_level, bool after_split, TokenizerData& data) {
  constexpr std::string_view kWhere = "pre_tokenizer 'ByteLevel'";
  SUTRA_ASSIGN(data.add_prefix_space, get_bool(byte_level, kWhere, "add_prefix_space", true));
  SUTRA_ASSIGN(const bool use_regex, get_bool(byte_level, kWhere, "use_regex", true));
  if (after_split && use_regex) return unsupported(kWhere, "use_regex after Split");
  if (after_split && data.add_prefix_space) return unsupported(kWhere, "add_prefix_space after Split");
  if (use_regex) data.word_rule = WordRule::kGpt2;
  return {};
}

// "single" of a TemplateProcessing: special tokens, the text as sequence A, special tokens. Wraps what the
// processors before it have added.
Status load_template(const JsonTree& processor, TokenizerData& data) {
  constexpr std::string_view kWhere = "post_processor 'TemplateProcessing'";
  SUTRA_ASSIGN(const JsonTree* const single, get_array(processor, kWhere, "single"));
  SUTRA_ASSIGN(const JsonTree* const specials, get_object(processor, kWhere, "special_tokens"));
  if (single == nullptr) return fail(ErrorCode::kMalformed, kWhere, " has no 'single'");
  if (single->items.size() > kMaxTemplatePieces) {
    return fail(ErrorCode::kTooLarge, kWhere, " has ", single->items.size(), " pieces; ", kMaxTemplatePieces,
                " is the limit");
  }
  std::vector<int32_t> before;
  std::vector<int32_t> after;
  size_t n_sequences = 0;
  for (const JsonTree& piece : single->items) {
    SUTRA_ASSIGN(const JsonTree* const sequence, get_object(piece, kWhere, "Sequence"));
    SUTRA_ASSIGN(const JsonTree* const special, get_object(piece, kWhere, "SpecialToken"));
    if ((sequence == nullptr) == (special == nullptr)) {
      return fail(ErrorCode::kMalformed, kWhere, " has a piece that is not one of 'Sequence' and 'SpecialToken'");
    }
    if (sequence != nullptr) {
      SUTRA_ASSIGN(const std::string_view name, get_string(*sequence, kWhere, "id"));
      if (name != "A" || ++n_sequences > 1)
        return unsupported("post_processor 'TemplateProcessing' with sequence", name);
      continue;
    }
    SUTRA_ASSIGN(const std::string_view name, get_string(*special, kWhere, "id"));
    const JsonTree* const entry = specials != nullptr ? specials->find(name) : nullptr;
    if (entry == nullptr) return fail(ErrorCode::kMalformed, kWhere, " does not define '", printable(name), "'");
    SUTRA_ASSIGN(const JsonTree* const ids, get_array(*entry, kWhere, "ids"));
    if (ids == nullptr) return fail(ErrorCode::kMalformed, kWhere, " gives '", printable(name), "' no 'ids'");
    if (ids->items.size() > kMaxTemplatePieces) {
      return fail(ErrorCode::kTooLarge, kWhere, " gives '", printable(name), "' ", ids->items.size(), " ids; ",
                  kMaxTemplatePieces, " is the limit");
    }
    for (const JsonTree& value : ids->items) {
      const auto* id = std::get_if<uint64_t>(&value.scalar);
      if (id == nullptr || *id >= data.vocabulary.size() || !data.vocabulary.has(static_cast<int32_t>(*id))) {
        return fail(ErrorCode::kMalformed, kWhere, " gives '", printable(name), "' an id that is no token");
      }
      (n_sequences == 0 ? before : after).push_back(static_cast<int32_t>(*id));
    }
  }
  if (n_sequences == 0) return fail(ErrorCode::kMalformed, kWhere, " leaves out the text (sequence 'A')");
  data.prefix.insert(data.prefix.begin(), before.begin(), before.end());
  data.suffix.insert(data.suffix.end(), after.begin(), after.end());
  return {};
}

}  // namespace

Status load_normalizer(const JsonTree& root, TokenizerData& data) {
  SUTRA_ASSIGN(const JsonTree* const normalizer, get_object(root, "the file", "normalizer"));
  if (normalizer == nullptr) return {};
  return each_element(*normalizer, "normalizer", "normalizers", [&](const JsonTree&, std::string_view type) -> Status {
    if (type != "NFC") return unsupported("normalizer", type);
    data.has_nfc = true;
    return {};
  });
}

Status load_pre_tokenizer(const JsonTree& root, TokenizerData& data) {
  SUTRA_ASSIGN(const JsonTree* const pre_tokenizer, get_object(root, "the file", "pre_tokenizer"));
  bool has_split = false;
  bool has_byte_level = false;
  if (pre_tokenizer != nullptr) {
    SUTRA_TRY(each_element(*pre_tokenizer, "pre_tokenizer", "pretokenizers",
                           [&](const JsonTree& element, std::string_view type) -> Status {
                             if (type == "Split" && !has_split && !has_byte_level) {
                               has_split = true;
                               return load_split(element, data);
                             }
                             if (type == "ByteLevel" && !has_byte_level) {
                               has_byte_level = true;
                               return load_byte_level(element, has_split, data);
                             }
                             return unsupported("pre_tokenizer", type);
                           }));
  }
  if (!has_byte_level) return unsupported("a pre_tokenizer without", "ByteLevel");
  return {};
}

Status load_post_processor(const JsonTree& root, TokenizerData& data) {
  SUTRA_ASSIGN(const JsonTree* const processor, get_object(root, "the file", "post_processor"));
  if (processor == nullptr) return {};
  bool has_byte_level = false;
  return each_element(*processor, "post_processor", "processors",
                      [&](const JsonTree& element, std::string_view type) -> Status {
                        constexpr std::string_view kWhere = "post_processor 'ByteLevel'";
                        if (type == "TemplateProcessing") return load_template(element, data);
                        if (type != "ByteLevel" || has_byte_level) return unsupported("post_processor", type);
                        has_byte_level = true;
                        SUTRA_ASSIGN(data.trim_offsets, get_bool(element, kWhere, "trim_offsets", true));
                        SUTRA_ASSIGN(data.trim_keeps_first_space, get_bool(element, kWhere, "add_prefix_space", true));
                        return {};
                      });
}

Status check_decoder(const JsonTree& root) {
  SUTRA_ASSIGN(const JsonTree* const decoder, get_object(root, "the file", "decoder"));
  if (decoder == nullptr) return unsupported("a file without", "decoder");
  SUTRA_ASSIGN(const std::string_view type, get_string(*decoder, "decoder", "type"));
  if (type != "ByteLevel") return unsupported("decoder", type);
  return {};
}

}  // namespace sutra::text
