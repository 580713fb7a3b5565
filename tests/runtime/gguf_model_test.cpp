// GGUF files as models: metadata to config and tokenizer, the conformance set's rules for both, loading.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/gguf_support.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "runtime/gguf_tokenizer.h"
#include "runtime/session.h"
#include "support/golden.h"
#include "support/temporary_folder.h"
#include "text/golden_support.h"

namespace sutra {
namespace {

using nlohmann::json;
using test::Bytes;
using test::GgufBytes;
using test::parse_gguf_header;

using test::require_ok;
using test::value_of;

constexpr int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

Result<text::Tokenizer> tokenizer_of(const GgufBytes& file) {
  SUTRA_ASSIGN(const GgufHeader header, parse_gguf_header(file.build()));
  return gguf_tokenizer(header.metadata);
}

ErrorCode tokenizer_error(const GgufBytes& file) {
  const auto tokenizer = tokenizer_of(file);
  REQUIRE_FALSE(tokenizer.has_value());
  CHECK_FALSE(tokenizer.error().message.empty());
  return tokenizer.error().code;
}

// Of a whole file: the error of its tokenizer, or of its config. What is only not supported loads without.
Status check_model(const GgufHeader& header) {
  const auto tokenizer = gguf_tokenizer(header.metadata);
  if (!tokenizer && tokenizer.error().code != ErrorCode::kUnsupported &&
      tokenizer.error().code != ErrorCode::kNotFound) {
    return std::unexpected(tokenizer.error());
  }
  SUTRA_ASSIGN(const std::string config, gguf_config(header));
  SUTRA_ASSIGN(const JsonObject object, JsonObject::parse(config, "config.json"));
  SUTRA_TRY(read_model_config(object));
  return {};
}

GgufBytes mamba_keys() {
  GgufBytes file;
  file.text("general.architecture", "mamba").u32("mamba.embedding_length", 32).u32("mamba.block_count", 2);
  file.u32("mamba.ssm.inner_size", 64).u32("mamba.ssm.state_size", 16).u32("mamba.ssm.conv_kernel", 4);
  file.u32("mamba.ssm.time_step_rank", 2).f32("mamba.attention.layer_norm_rms_epsilon", 3e-6f);
  file.tensor("token_embd.weight", {32, 40}, 1, std::string(2560, '\0'));
  return file;
}

GgufBytes llama_keys() {
  GgufBytes file;
  file.text("general.architecture", "llama").u32("llama.embedding_length", 32).u32("llama.block_count", 2);
  file.u32("llama.attention.head_count", 4).u32("llama.feed_forward_length", 96);
  file.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  file.tensor("token_embd.weight", {32, 40}, 1, std::string(2560, '\0'));
  return file;
}

// Of Granite 4; heads of keys and values by layer.
GgufBytes hybrid_keys(const std::vector<int32_t>& kv_heads, bool is_bamba = false) {
  GgufBytes file;
  const auto u32 = [&](std::string_view key, uint32_t value) { file.u32(concat("granitehybrid.", key), value); };
  file.text("general.architecture", "granitehybrid").boolean("granitehybrid.rope.scaling.finetuned", is_bamba);
  u32("embedding_length", 32);
  u32("block_count", 3);
  u32("context_length", 1 << 20);
  u32("attention.head_count", 4);
  u32("feed_forward_length", 96);
  u32("ssm.inner_size", 64);
  u32("ssm.time_step_rank", 4);
  u32("ssm.state_size", 16);
  u32("ssm.group_count", 1);
  u32("ssm.conv_kernel", 4);
  file.i32s("granitehybrid.attention.head_count_kv", kv_heads);
  file.f32("granitehybrid.attention.layer_norm_rms_epsilon", 1e-5f).f32("granitehybrid.embedding_scale", 3);
  file.tensor("token_embd.weight", {32, 40}, 1, std::string(2560, '\0'));
  return file;
}

Result<ModelConfig> config_of(const GgufBytes& file) {
  SUTRA_ASSIGN(const GgufHeader header, parse_gguf_header(file.build()));
  SUTRA_ASSIGN(const std::string config, gguf_config(header));
  SUTRA_ASSIGN(const JsonObject object, JsonObject::parse(config, "config.json"));
  return read_model_config(object);
}

ErrorCode config_error(const GgufBytes& file) {
  const auto config = config_of(file);
  REQUIRE_FALSE(config.has_value());
  return config.error().code;
}

GgufBytes world_tokens(const std::vector<std::string>& tokens, const std::vector<int32_t>& types) {
  GgufBytes file;
  file.text("tokenizer.ggml.model", "rwkv").texts("tokenizer.ggml.tokens", tokens);
  file.i32s("tokenizer.ggml.token_type", types);
  return file;
}

// As Python writes bytes, without the quotes.
std::string python_repr(std::string_view bytes) {
  const bool has_both = bytes.find('\'') != std::string_view::npos && bytes.find('"') != std::string_view::npos;
  std::string out;
  for (const char c : bytes) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t')
      out += "\\t";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\\' || (c == '\'' && has_both))
      out += concat('\\', c);
    else if (byte < 0x20 || byte >= 0x7f)
      out += concat("\\x", kDigits[byte >> 4], kDigits[byte & 15]);
    else
      out += c;
  }
  return out;
}

// The metadata that llama.cpp's converter makes of a tokenizer.json.
GgufBytes bpe_of(const json& file, std::string_view pre) {
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;
  const auto set = [&](const std::string& token, size_t id, int32_t type) {
    if (tokens.size() <= id) {
      tokens.resize(id + 1);
      types.resize(id + 1, kUnused);
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const auto& [token, id] : file.at("model").at("vocab").items()) set(token, id.get<size_t>(), kNormal);
  for (const json& token : file.at("added_tokens")) {
    set(token.at("content"), token.at("id").get<size_t>(), token.at("special").get<bool>() ? kControl : kUserDefined);
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == kUnused) tokens[id] = concat("[PAD", id, "]");
  }
  for (const json& merge : file.at("model").at("merges")) {
    merges.push_back(merge.is_string() ? merge.get<std::string>()
                                       : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  GgufBytes out;
  out.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
  out.texts("tokenizer.ggml.tokens", tokens).i32s("tokenizer.ggml.token_type", types);
  out.texts("tokenizer.ggml.merges", merges);
  return out;
}

// Whether a text has a token that takes white space along, or wants some: GGUF has no place for that.
bool has_stripping_token(const json& file, const std::string& text) {
  return std::ranges::any_of(file.at("added_tokens"), [&](const json& token) {
    const bool is_plain = !token.at("lstrip") && !token.at("rstrip") && !token.at("single_word");
    return !is_plain && text.contains(token.at("content").get<std::string>());
  });
}

void check_cases(const text::Tokenizer& tokenizer, const std::string& folder) {
  const json file = json::parse(test::read_text(folder + "/tokenizer.json"));
  for (const json& one : text::read_json_lines(folder + "/cases.jsonl")) {
    CAPTURE(one["id"].dump());
    const auto text = one["text"].get<std::string>();
    if (has_stripping_token(file, text)) continue;
    const text::Encoding got = tokenizer.encode(text, false);
    CHECK(got.ids == one["plain"]["ids"].get<std::vector<int32_t>>());
    CHECK(tokenizer.decode(got.ids, false) == one["plain"]["decoded"].get<std::string>());
  }
}

void check_bpe(const std::string& folder, std::string_view pre) {
  const json file = json::parse(test::read_text(folder + "/tokenizer.json"));
  check_cases(value_of(tokenizer_of(bpe_of(file, pre))), folder);
}

std::vector<float> logits_of(const Engine& engine) {
  State state = value_of(State::create(engine.model().state_layout()));
  std::vector<float> logits(engine.info().vocab_size);
  engine.forward(state, std::vector<int32_t>{5, 17, 33, 2}, LogitsWanted::kLast, logits);
  return logits;
}

}  // namespace

TEST_CASE("gguf fixtures: what a container may hold but no tokenizer and no model is refused") {
  const std::string folder = test::golden_path("io/gguf/");
  const auto index = json::parse(test::read_text(folder + "index.json"));
  size_t n_checked = 0;
  for (const auto& item : index.at("files")) {
    if (item.at("expect") != "reject") continue;
    const std::string name = item.at("file");
    CAPTURE(name, item.at("rule").get<std::string>());
    const auto header = parse_gguf_header(test::read_bytes(folder + name));
    if (!header) continue;
    ++n_checked;
    CHECK(item.at("stage") != "container");
    if (item.at("stage") == "tokenizer") {
      const auto tokenizer = gguf_tokenizer(header->metadata);
      REQUIRE_FALSE(tokenizer.has_value());
      CHECK(tokenizer.error().code == ErrorCode::kMalformed);
    }
    CHECK_FALSE(check_model(*header).has_value());
  }
  CHECK(n_checked == 13);
}

TEST_CASE("a gguf config has the metadata's numbers, exactly, and its special ids") {
  GgufBytes file = mamba_keys();
  file.u32("tokenizer.ggml.bos_token_id", 3)
      .u32("tokenizer.ggml.eos_token_id", 4)
      .u32("tokenizer.ggml.eot_token_id", 39);
  const ModelConfig config = value_of(config_of(file));
  const auto& mamba = std::get<MambaConfig>(config.architecture);
  CHECK(mamba.d_model == 32);
  CHECK(mamba.d_inner == 64);
  CHECK(mamba.n_layer == 2);
  CHECK(mamba.dt_rank == 2);
  CHECK(mamba.d_conv == 4);
  CHECK(mamba.vocab_size == 40);
  CHECK(mamba.tie_word_embeddings);
  CHECK_FALSE(mamba.use_conv_bias);
  CHECK(mamba.rms_norm_eps == 3e-6f);
  CHECK(config.bos_token_id == 3);
  CHECK(config.eos_token_ids == std::vector<int32_t>{4, 39});
}

TEST_CASE("a gguf config that cannot be is refused") {
  CHECK(config_error(GgufBytes().text("general.architecture", "qwen2")) == ErrorCode::kUnsupported);
  CHECK(config_error(GgufBytes()) == ErrorCode::kNotFound);
  CHECK(config_error(GgufBytes().text("general.architecture", "mamba")) == ErrorCode::kNotFound);
  CHECK(config_error(mamba_keys().u32("split.count", 3)) == ErrorCode::kUnsupported);
  CHECK(config_error(mamba_keys().u32("tokenizer.ggml.eos_token_id", 40)) == ErrorCode::kMalformed);
  CHECK(config_error(mamba_keys().text("mamba.context_length", "long")) == ErrorCode::kMalformed);
}

TEST_CASE("a gguf config of mamba with norms of dt, B and C is FalconMamba's") {
  const auto config = value_of(config_of(mamba_keys().boolean("mamba.ssm.dt_b_c_rms", true)));
  const auto& mamba = std::get<MambaConfig>(config.architecture);
  CHECK(mamba.mixer_rms_eps == 3e-6f);
  CHECK(mamba.rms_norm_eps == 3e-6f);
}

TEST_CASE("a gguf config of llama says what its attention is") {
  const auto config = value_of(config_of(llama_keys()
                                             .u32("llama.attention.head_count_kv", 2)
                                             .f32("llama.rope.freq_base", 5e5f)
                                             .u32("llama.context_length", 77)));
  const auto& llama = std::get<DecoderConfig>(config.architecture);
  CHECK(llama.name == "llama");
  CHECK(llama.attention.n_heads == 4);
  CHECK(llama.attention.n_kv_heads == 2);
  CHECK(llama.attention.head_dim == 8);
  CHECK(llama.attention.rope.theta == 5e5);
  CHECK(llama.attention.rope.scaling == RopeConfig::Scaling::kNone);
  CHECK(llama.max_tokens == 77);
  CHECK(llama.dim_ffn == 96);
  CHECK_FALSE(llama.attention.use_bias);

  const auto linear = value_of(config_of(llama_keys()
                                             .text("llama.rope.scaling.type", "linear")
                                             .f32("llama.rope.scaling.factor", 4)
                                             .u32("llama.context_length", 77)));
  CHECK(std::get<DecoderConfig>(linear.architecture).attention.rope.factor == 4);
  const auto old =
      value_of(config_of(llama_keys().f32("llama.rope.scale_linear", 2.3333333f).u32("llama.context_length", 77)));
  CHECK(static_cast<float>(std::get<DecoderConfig>(old.architecture).attention.rope.factor) == 2.3333333f);
}

TEST_CASE("a gguf config of llama that Sutra does not compute is refused") {
  const auto error = [](GgufBytes file) { return config_error(file.u32("llama.context_length", 77)); };
  CHECK(error(llama_keys().u32("llama.expert_count", 8)) == ErrorCode::kUnsupported);
  CHECK(error(llama_keys().u32("llama.attention.value_length", 4)) == ErrorCode::kUnsupported);
  CHECK(error(llama_keys().u32("llama.rope.dimension_count", 4)) == ErrorCode::kUnsupported);
  CHECK(error(llama_keys().text("llama.rope.scaling.type", "yarn")) == ErrorCode::kUnsupported);
  CHECK(error(llama_keys().u32("llama.attention.head_count_kv", 0)) == ErrorCode::kMalformed);
  CHECK(error(llama_keys().u32("llama.attention.head_count_kv", 3)) == ErrorCode::kMalformed);
}

TEST_CASE("gguf tensors that cannot become the model's are refused") {
  const auto error = [](const GgufBytes& keys, std::string_view name, Dtype dtype, const Shape& shape) {
    WeightMap weights;
    require_ok(weights.insert(std::string(name), value_of(Tensor::create(dtype, shape))));
    const Status status = rename_gguf(value_of(config_of(keys)), weights);
    REQUIRE_FALSE(status.has_value());
    return status.error().code;
  };
  const GgufBytes llama = llama_keys().u32("llama.context_length", 77);
  CHECK(error(llama, "blk.0.attn_q.weight", Dtype::kQ4_0, {64}) == ErrorCode::kShapeMismatch);
  CHECK(error(llama, "blk.0.attn_q.weight", Dtype::kF32, {12, 32}) == ErrorCode::kShapeMismatch);
  CHECK(error(mamba_keys(), "blk.0.ssm_conv1d.weight", Dtype::kF32, {64}) == ErrorCode::kShapeMismatch);
  CHECK(error(hybrid_keys({0, 2, 0}), "blk.0.ffn_gate.weight", Dtype::kF32, {96, 32}) == ErrorCode::kNotFound);
}

TEST_CASE("a gguf config of a hybrid says which layers are attention") {
  const auto granite = value_of(config_of(hybrid_keys({0, 2, 0})));
  const auto& c = std::get<DecoderConfig>(granite.architecture);
  CHECK(c.name == "granitemoehybrid");
  CHECK(c.has_attention == std::vector<bool>{false, true, false});
  CHECK(c.attention.n_kv_heads == 2);
  CHECK(c.attention.rope.rotary_dim == 0);
  CHECK(c.embedding_multiplier == 3.0f);
  CHECK(c.attention.scale == static_cast<float>(1 / std::sqrt(8.0)));  // where the file has none
  CHECK(c.mamba.n_heads == 4);
  CHECK(c.mamba.head_dim == 16);

  CHECK(config_error(hybrid_keys({2, 4, 0})) == ErrorCode::kUnsupported);
  CHECK(config_error(hybrid_keys({2, 0})) == ErrorCode::kMalformed);
  // Bamba has positions and no multipliers.
  CHECK(config_error(hybrid_keys({0, 2, 0}, true).u32("granitehybrid.rope.dimension_count", 8)) ==
        ErrorCode::kUnsupported);
}

TEST_CASE("a gguf World vocabulary is that of the text file: control and unused tokens are none") {
  const auto tokenizer = value_of(tokenizer_of(world_tokens(
      {"<s>", "a", "\\n", "\\xc3\\xa9", "it's \"", "\\\\", "[PAD6]"}, {kControl, 1, 1, 1, 1, 1, kUnused})));
  CHECK(tokenizer.vocab_size() == 6);
  CHECK(tokenizer.encode("a\n\xc3\xa9it's \"\\").ids == std::vector<int32_t>{1, 2, 3, 4, 5});
  CHECK(tokenizer.encode("<s>").ids.empty());
  CHECK(tokenizer_error(world_tokens({"a", "\\q"}, {1, 1})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(world_tokens({"a", "a"}, {1, 1})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(world_tokens({"a", ""}, {1, 1})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(world_tokens({"<s>"}, {kControl})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(world_tokens({"a", "b"}, {1, 7})) == ErrorCode::kMalformed);
}

TEST_CASE("the published World vocabulary from gguf gives its reference's ids (shared data)") {
  const auto folder = test::shared_path("golden/tokenizers/rwkv-world");
  if (!folder) SKIP("needs the shared golden data");
  const auto original =
      value_of(text::Tokenizer::from_world_vocabulary(test::read_bytes(*folder + "/rwkv_vocab_v20230424.txt")));
  std::vector<std::string> tokens = {"<s>"};
  std::vector<int32_t> types = {kControl};
  for (int32_t id = 1; static_cast<size_t>(id) < original.vocab_size(); ++id) {
    tokens.push_back(python_repr(original.token_bytes(id)));
    types.push_back(kNormal);
  }
  const auto tokenizer = value_of(tokenizer_of(world_tokens(tokens, types)));
  for (const json& one : text::read_json_lines(*folder + "/cases.jsonl")) {
    CAPTURE(one["id"].dump());
    const text::Encoding got = tokenizer.encode(one["text"].get<std::string>(), false);
    CHECK(got.ids == one["ids"].get<std::vector<int32_t>>());
  }
}

TEST_CASE("a gguf BPE vocabulary gives the ids of the tokenizer.json that it was made of") {
  check_bpe(test::golden_path("text/bpe-gpt2"), "gpt-2");
  check_bpe(test::golden_path("text/bpe-llama3"), "llama-bpe");
  check_bpe(test::golden_path("text/bpe-qwen2"), "qwen2");
  check_bpe(test::golden_path("text/bpe-o200k"), "gpt-4o");
  if (const auto folder = test::shared_path("golden/tokenizers/bpe-neox20b")) check_bpe(*folder, "olmo");
}

TEST_CASE("a tokenizer.json becomes the metadata that llama.cpp's converter makes of it") {
  for (const auto& [folder, pre] : {std::pair{std::optional(test::golden_path("text/bpe-gpt2")), "gpt-2"},
                                    std::pair{test::shared_path("golden/tokenizers/bpe-neox20b"), "mpt"}}) {
    if (!folder) continue;
    CAPTURE(*folder);
    const Bytes file = test::read_bytes(*folder + "/tokenizer.json");
    const GgufMetadata expected =
        value_of(parse_gguf_header(bpe_of(json::parse(test::read_text(*folder + "/tokenizer.json")), pre).build()))
            .metadata;
    const size_t n_tokens = value_of(expected.find_array("tokenizer.ggml.tokens", GgufType::kString))->size();
    GgufMetadata metadata;
    require_ok(write_gguf_tokenizer(file, n_tokens, metadata));
    for (const auto& [key, value] : expected.entries()) {
      CAPTURE(key);
      const GgufValue* const got = metadata.find(key);
      REQUIRE(got != nullptr);
      CHECK(got->type == value.type);
      if (const auto* const array = std::get_if<GgufArray>(&value.value)) {
        CHECK(std::get<GgufArray>(got->value).bytes == array->bytes);
        CHECK(std::get<GgufArray>(got->value).ends == array->ends);
      } else {
        CHECK(got->value.index() == value.value.index());
      }
    }
    CHECK(metadata.entries().size() == expected.entries().size());
    // A model may have more ids than its tokenizer, and no fewer.
    GgufMetadata wider;
    require_ok(write_gguf_tokenizer(file, n_tokens + 3, wider));
    CHECK(value_of(gguf_tokenizer(wider)).encode("some text").ids ==
          value_of(text::Tokenizer::from_file(file)).encode("some text").ids);
    GgufMetadata narrower;
    CHECK(write_gguf_tokenizer(file, n_tokens - 1, narrower).error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("a gguf tokenizer as a file is the one it was written from") {
  for (const auto& folder :
       {std::optional(test::golden_path("text/bpe-gpt2")), std::optional(test::golden_path("text/bpe-llama3")),
        std::optional(test::golden_path("text/bpe-qwen2")), std::optional(test::golden_path("text/bpe-o200k")),
        test::shared_path("golden/tokenizers/bpe-neox20b")}) {
    if (!folder) continue;
    CAPTURE(*folder);
    const Bytes original = test::read_bytes(*folder + "/tokenizer.json");
    GgufMetadata metadata;
    require_ok(write_gguf_tokenizer(original, 1 << 16, metadata));
    const NamedText file = value_of(gguf_tokenizer_file(metadata));
    CHECK(file.name == "tokenizer.json");
    check_cases(value_of(text::Tokenizer::from_file(std::as_bytes(std::span(file.text)))), *folder);
  }
  const std::string_view world = "1 b'a' 1\n2 b'\\n' 1\n4 b'it\\'s \"' 6\n5 b'\\\\' 1\n6 b\"it's\" 4\n7 b'\\xff' 1\n";
  GgufMetadata metadata;
  require_ok(write_gguf_tokenizer(std::as_bytes(std::span(world)), 10, metadata));
  const NamedText file = value_of(gguf_tokenizer_file(metadata));
  CHECK(file.name == "rwkv_vocab_v20230424.txt");
  CHECK(file.text == world);
}

TEST_CASE("a World vocabulary is written as Python spells its bytes") {
  const std::string_view file =
      "1 'a' 1\n2 '\\n' 1\n3 'é' 2\n4 'it\\'s \"' 6\n5 '\\\\' 1\n6 \"it's\" 4\n7 b'\\xff' 1\n";
  GgufMetadata metadata;
  require_ok(write_gguf_tokenizer(std::as_bytes(std::span(file)), 10, metadata));
  const GgufArray* const tokens = value_of(metadata.find_array("tokenizer.ggml.tokens", GgufType::kString));
  const std::vector<std::string> expected = {"<s>",  "a",    "\\n",   "\\xc3\\xa9", "it\\'s \"",
                                             "\\\\", "it's", "\\xff", "[PAD8]",     "[PAD9]"};
  REQUIRE(tokens->size() == expected.size());
  for (size_t id = 0; id < expected.size(); ++id) CHECK(tokens->text(id) == expected[id]);
  CHECK(value_of(gguf_tokenizer(metadata)).encode("é\xffit's \"").ids == std::vector<int32_t>{3, 7, 4});
}

TEST_CASE("a tokenizer that cuts words by a rule without a name in GGUF is not written") {
  const json file = json::parse(test::read_text(test::golden_path("text/bpe-gpt2") + "/tokenizer.json"));
  json prefixed = file;
  prefixed["pre_tokenizer"]["add_prefix_space"] = true;
  const std::string text = prefixed.dump();
  GgufMetadata metadata;
  CHECK(write_gguf_tokenizer(std::as_bytes(std::span(text)), 1 << 20, metadata).error().code ==
        ErrorCode::kUnsupported);
}

TEST_CASE("a gguf BPE vocabulary marks control tokens as special and adds those it is told to add") {
  GgufBytes file;
  file.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"<e>", "a", "b", "ab", "<b>", "xy"});
  file.i32s("tokenizer.ggml.token_type", {kControl, 1, 1, 1, kControl, kUserDefined});
  file.texts("tokenizer.ggml.merges", {"a b"})
      .u32("tokenizer.ggml.bos_token_id", 4)
      .u32("tokenizer.ggml.eos_token_id", 0);
  CHECK(value_of(tokenizer_of(file)).encode("abxy<e>", true).ids == std::vector<int32_t>{3, 5, 0});
  file.boolean("tokenizer.ggml.add_bos_token", true).boolean("tokenizer.ggml.add_eos_token", true);
  const auto tokenizer = value_of(tokenizer_of(file));
  CHECK(tokenizer.encode("ab", true).ids == std::vector<int32_t>{4, 3, 0});
  CHECK(tokenizer.encode("ab", false).ids == std::vector<int32_t>{3});
  CHECK(tokenizer.is_special(4));
  CHECK_FALSE(tokenizer.is_special(5));
  const GgufHeader header = value_of(parse_gguf_header(file.build()));
  const NamedText written = value_of(gguf_tokenizer_file(header.metadata));
  const auto again = value_of(text::Tokenizer::from_file(std::as_bytes(std::span(written.text))));
  CHECK(again.encode("abxy<e>", true).ids == std::vector<int32_t>{4, 3, 5, 0, 0});
}

TEST_CASE("gguf tokenizers of other kinds are not supported, broken ones are refused") {
  const auto base = [](const char* model) {
    GgufBytes file;
    file.text("tokenizer.ggml.model", model).texts("tokenizer.ggml.tokens", {"a", "b"});
    return file;
  };
  CHECK(tokenizer_error(GgufBytes()) == ErrorCode::kNotFound);
  CHECK(tokenizer_error(base("llama")) == ErrorCode::kUnsupported);
  CHECK(tokenizer_error(base("gpt2").text("tokenizer.ggml.pre", "chameleon")) == ErrorCode::kUnsupported);
  CHECK(tokenizer_error(base("gpt2")) == ErrorCode::kMalformed);  // no merges
  CHECK(tokenizer_error(base("gpt2").texts("tokenizer.ggml.merges", {"a c"})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(base("gpt2").texts("tokenizer.ggml.merges", {"ab"})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(base("llama").u32("tokenizer.ggml.padding_token_id", 2)) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(base("llama").i32s("tokenizer.ggml.token_type", {1})) == ErrorCode::kMalformed);
  CHECK(tokenizer_error(base("llama").i32s("tokenizer.ggml.token_type", {1, kByte})) == ErrorCode::kMalformed);
}

TEST_CASE("a gguf file loads in pieces of any size, with its tokenizer and its special ids") {
  const Bytes file = test::read_bytes(test::golden_path("gguf/rwkv7.gguf"));
  const auto load = [&](size_t chunk_bytes) {
    ModelLoader loader = value_of(ModelLoader::create({}));
    require_ok(loader.set_config({}));
    require_ok(test::feed_file(loader, "rwkv7.gguf", file, chunk_bytes));
    return value_of(loader.finish());
  };
  const auto whole = load(file.size());
  CHECK(whole->info().architecture == "rwkv7");
  CHECK(whole->info().quantization == "float16");
  CHECK(whole->info().vocab_size == 288);
  CHECK(whole->bos_token_id() == 0);
  CHECK(whole->is_eos(0));
  REQUIRE(whole->tokenizer() != nullptr);
  CHECK(whole->tokenizer()->encode(" the it's \"").ids == std::vector<int32_t>{257, 33, 260});
  const auto alone = value_of(load_tokenizer(test::golden_path("gguf/rwkv7.gguf")));
  CHECK(alone.encode(" the it's \"").ids == whole->tokenizer()->encode(" the it's \"").ids);
  const std::vector<float> logits = logits_of(*whole);
  for (const size_t chunk : {size_t{1}, size_t{4099}}) CHECK(logits_of(*load(chunk)) == logits);
}

TEST_CASE("a gguf file needs no config.json, uses none, and a tokenizer beside it wins") {
  test::TemporaryFolder folder;
  std::filesystem::copy_file(test::golden_path("gguf/mamba.gguf"), folder.file("model.gguf"));
  require_ok(write_file_atomically(folder.file("config.json"), std::as_bytes(std::span(std::string_view("{}")))));
  CHECK(test::load_engine(folder.path())->info().architecture == "mamba");
  const auto alone = test::load_engine(folder.file("model.gguf"));
  CHECK(alone->tokenizer() == nullptr);
  CHECK(alone->info().why_no_tokenizer == "the file has no tokenizer.ggml.tokens");

  std::filesystem::copy_file(test::golden_path("gguf/rwkv7.gguf"), folder.file("other.gguf"));
  const std::string_view vocabulary = "1 'a' 1\n2 'b' 1\n";
  require_ok(write_file_atomically(folder.file("rwkv_vocab_v20230424.txt"), std::as_bytes(std::span(vocabulary))));
  CHECK(test::load_engine(folder.file("other.gguf"))->tokenizer()->vocab_size() == 3);
  CHECK(load_model_folder(folder.path(), {}).error().code == ErrorCode::kInvalidArgument);  // two of them

  FolderOptions options;
  options.overrides = {"norm_eps=0.5"};
  const auto changed = value_of(load_model_folder(folder.file("other.gguf"), options));
  CHECK(logits_of(*changed) != logits_of(*test::load_engine(folder.file("other.gguf"))));
}

TEST_CASE("a truncated gguf file is refused by the loader") {
  const Bytes file = test::read_bytes(test::golden_path("gguf/rwkv7.gguf"));
  for (const size_t n : {size_t{3}, size_t{100}, size_t{9000}, file.size() - 1}) {
    CAPTURE(n);
    ModelLoader loader = value_of(ModelLoader::create({}));
    require_ok(loader.set_config({}));
    const Status status = test::feed_file(loader, "rwkv7.gguf", std::span(file).first(n));
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ErrorCode::kTruncated);
    CHECK(status.error().message.starts_with("rwkv7.gguf: "));
  }
}

}  // namespace sutra
