#include "io/model_files.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace sutra {
namespace {

ErrorCode index_error(std::string_view text) {
  const auto index = parse_shard_index(text, "model.safetensors.index.json");
  CAPTURE(text);
  REQUIRE_FALSE(index.has_value());
  CHECK(index.error().message.starts_with("model.safetensors.index.json: "));
  return index.error().code;
}

Result<ModelFiles> choose(const std::vector<std::string>& names) { return choose_model_files(names); }

}  // namespace

TEST_CASE("shard index lists each file once, sorted, with the tensors in it") {
  const auto index = parse_shard_index(R"({"metadata": {"total_size": 1234, "other": [1, {"total_size": 5}]},
      "weight_map": {"b": "model-2-of-2.safetensors", "a": "model-1-of-2.safetensors", "c": "model-1-of-2.safetensors"},
      "extra": {"weight_map": {"d": "../x"}}})",
                                       "index");
  REQUIRE(index.has_value());
  CHECK(index->files == std::vector<std::string>{"model-1-of-2.safetensors", "model-2-of-2.safetensors"});
  CHECK(index->weight_map.at("b") == "model-2-of-2.safetensors");
  CHECK(index->weight_map.size() == 3);
  CHECK(index->total_bytes == 1234u);
}

TEST_CASE("shard index takes a total size of any form for what it is: a claim") {
  const auto index = parse_shard_index(R"({"metadata": {"total_size": 12.5}, "weight_map": {"a": "f"}})", "index");
  REQUIRE(index.has_value());
  CHECK_FALSE(index->total_bytes.has_value());
}

TEST_CASE("shard index refuses file names that could leave the folder") {
  for (const std::string_view name :
       {"../w.safetensors", "/etc/passwd", "a/b", "a\\\\b", "..", ".", "", "C:x", "a\\u0000b", "a\\nb"}) {
    CHECK(index_error(concat(R"({"weight_map": {"a": ")", name, "\"}}")) == ErrorCode::kMalformed);
  }
  CHECK(index_error(concat(R"({"weight_map": {"a": ")", std::string(256, 'x'), "\"}}")) == ErrorCode::kMalformed);
}

TEST_CASE("shard index refuses what is not an index") {
  for (const std::string_view text :
       {"", "[]", "1", "{}", R"({"weight_map": []})", R"({"weight_map": 1})", R"({"weight_map": {}})",
        R"({"weight_map": {"a": 1}})", R"({"weight_map": {"a": {"b": "f"}}})", R"({"weight_map": {"a": ["f"]}})",
        R"({"weight_map": {"a": "f", "a": "f"}})", R"({"weight_map": {"a": "f"}, "weight_map": {"b": "f"}})",
        R"({"weight_map": {"a": "f"})"}) {
    CHECK(index_error(text) == ErrorCode::kMalformed);
  }
  CHECK(index_error(std::string(kMaxShardIndexBytes + 1, ' ')) == ErrorCode::kTooLarge);
}

TEST_CASE("model folder: one weights file beats an index, an index beats a lone other file") {
  const auto single = choose(
      {"config.json", "model.safetensors", "model.safetensors.index.json", "reference.safetensors", "tokenizer.json"});
  REQUIRE(single.has_value());
  CHECK(single->weights == std::vector<std::string>{"model.safetensors"});
  CHECK_FALSE(single->index.has_value());
  CHECK(single->tokenizer == "tokenizer.json");
  CHECK_FALSE(single->tokenizer_config.has_value());

  const auto sharded = choose({"config.json", "a.safetensors", "b.safetensors", "model.safetensors.index.json",
                               "tokenizer_config.json", "generation_config.json"});
  REQUIRE(sharded.has_value());
  CHECK(sharded->index == "model.safetensors.index.json");
  CHECK(sharded->weights.empty());
  CHECK(sharded->generation_config == "generation_config.json");

  const auto other = choose({"config.json", "weights.safetensors"});
  REQUIRE(other.has_value());
  CHECK(other->weights == std::vector<std::string>{"weights.safetensors"});

  const auto torch = choose({"rwkv.pth", "rwkv_vocab_v20230424.txt"});
  REQUIRE(torch.has_value());
  CHECK(torch->weights == std::vector<std::string>{"rwkv.pth"});
  CHECK(torch->tokenizer == "rwkv_vocab_v20230424.txt");
  CHECK_FALSE(torch->config.has_value());
  CHECK(choose({"config.json", "model.gguf", "rwkv.pth"})->weights.front() == "model.gguf");
  CHECK(choose({"config.json", "model.gguf", "w.safetensors"})->weights.front() == "w.safetensors");
  CHECK_FALSE(choose({"model.gguf"})->config.has_value());
  CHECK_FALSE(choose({"model.safetensors"})->config.has_value());
  CHECK(choose({"config.json", "model.safetensors", "pytorch_model.bin"})->weights.front() == "model.safetensors");
  CHECK(choose({"config.json", "pytorch_model.bin", "training_args.bin"})->weights.front() == "pytorch_model.bin");
}

TEST_CASE("model folder: says what is missing or ambiguous") {
  CHECK(choose({"a.pth", "b.pt"}).error().code == ErrorCode::kInvalidArgument);
  CHECK(choose({"a.gguf", "b.gguf"}).error().code == ErrorCode::kInvalidArgument);
  CHECK(choose({"config.json", "readme.md"}).error().code == ErrorCode::kNotFound);
  const auto ambiguous = choose({"config.json", "a.safetensors", "b.safetensors"});
  REQUIRE_FALSE(ambiguous.has_value());
  CHECK(ambiguous.error().code == ErrorCode::kInvalidArgument);
  CHECK(ambiguous.error().message.find("'a.safetensors' and 'b.safetensors'") != std::string::npos);
}

}  // namespace sutra
