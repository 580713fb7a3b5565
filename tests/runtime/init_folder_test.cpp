#include "runtime/init_folder.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "runtime/session.h"
#include "support/golden.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::value_of;

const auto go_on = [](size_t, size_t) { return true; };

constexpr std::string_view kRwkv7 =
    R"({"model_type": "rwkv7", "hidden_size": 64, "num_hidden_layers": 3, "head_dim": 32,
  "vocab_size": 50, "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 16})";
constexpr std::string_view kMamba =
    R"({"model_type": "mamba", "hidden_size": 48, "num_hidden_layers": 2, "vocab_size": 50,
  "use_bias": true, "tie_word_embeddings": false})";
constexpr std::string_view kMamba2 =
    R"({"model_type": "mamba2", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4,
  "head_dim": 16, "state_size": 8, "n_groups": 2, "use_bias": true})";
constexpr std::string_view kMambaSsm =
    R"({"d_model": 32, "n_layer": 2, "vocab_size": 49, "ssm_cfg": {"layer": "Mamba2", "headdim": 16, "d_state": 8},
  "pad_vocab_size_multiple": 16})";
constexpr std::string_view kLlama =
    R"({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 48,
  "num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true,
  "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
  "original_max_position_embeddings": 64}})";
constexpr std::string_view kGraniteHybrid =
    R"({"model_type": "granitemoehybrid", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50,
  "shared_intermediate_size": 24, "num_attention_heads": 2, "layer_types": ["mamba", "attention"],
  "mamba_n_heads": 4, "mamba_d_state": 8, "tie_word_embeddings": true})";
constexpr std::string_view kFalconH1 =
    R"({"model_type": "falcon_h1", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 24,
  "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_state": 8})";

constexpr std::string_view kRwkv4 =
    R"({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 50})";
constexpr std::string_view kRwkv5 =
    R"({"model_type": "rwkv5", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "model_version": "5_1"})";
constexpr std::string_view kRwkv6 =
    R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "head_size": 32, "intermediate_size": 96,
  "vocab_size": 50, "time_mix_extra_dim": 8, "time_decay_extra_dim": 12})";

std::string write_config(const test::TemporaryFolder& folder, std::string_view json) {
  std::string path = folder.file("shape.json");
  std::ofstream(path) << json;
  return path;
}

}  // namespace

TEST_CASE("a fresh model of every architecture loads whole and gives finite logits") {
  // Counted by hand from the shapes in models/*.md.
  for (const auto& [name, json, n_parameters] :
       {std::tuple{"rwkv7", kRwkv7, uint64_t{172'032}}, std::tuple{"mamba", kMamba, uint64_t{44'784}},
        std::tuple{"mamba2", kMamba2, uint64_t{19'392}}, std::tuple{"mamba_ssm", kMambaSsm, uint64_t{16'664}},
        std::tuple{"llama", kLlama, uint64_t{19'168}}, std::tuple{"granitemoehybrid", kGraniteHybrid, uint64_t{17'724}},
        std::tuple{"falcon_h1", kFalconH1, uint64_t{25'272}}, std::tuple{"rwkv4", kRwkv4, uint64_t{73'600}},
        std::tuple{"rwkv5", kRwkv5, uint64_t{81'928}}, std::tuple{"rwkv6", kRwkv6, uint64_t{95'744}}}) {
    INFO(name);
    const test::TemporaryFolder folder;
    const std::string out = folder.file("model");
    const InitReport report = value_of(init_folder(write_config(folder, json), 7, out, go_on));
    const auto engine = test::load_engine(out);
    CHECK(engine->info().unused_tensors.empty());
    CHECK(engine->info().n_parameters == report.n_parameters);
    CHECK(report.n_parameters == n_parameters);
    Session session = value_of(Session::create(engine));
    const int32_t ids[] = {1, 2, 49};
    value_of(session.advance(ids));
    bool all_finite = true;
    double largest = 0;
    for (const float logit : session.logits()) {
      all_finite = all_finite && std::isfinite(logit);
      largest = std::max(largest, static_cast<double>(std::abs(logit)));
    }
    CHECK(all_finite);
    CHECK(largest > 1e-3);
  }
}

TEST_CASE("the seed decides the weights") {
  const test::TemporaryFolder folder;
  const std::string config = write_config(folder, kMamba);
  const auto weights = [&](std::string_view name, uint64_t seed) {
    const std::string out = folder.file(name);
    value_of(init_folder(config, seed, out, go_on));
    return test::read_bytes(out + "/model.safetensors");
  };
  const auto first = weights("one", 1);
  CHECK(first == weights("again", 1));
  CHECK(first != weights("two", 2));
}

TEST_CASE("a stopped init leaves no model") {
  const test::TemporaryFolder folder;
  const std::string out = folder.file("model");
  const auto result =
      init_folder(write_config(folder, kMamba), 1, out, [](size_t n_done, size_t) { return n_done < 5; });
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::kCancelled);
  CHECK_FALSE(std::filesystem::exists(out + "/model.safetensors"));
}

}  // namespace sutra
