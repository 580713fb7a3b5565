// What config.json means for the architectures: defaults, two spellings of one thing, and what is refused by name.
#include "model/config.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "io/safetensors_writer.h"
#include "runtime/session.h"
#include "support/golden.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

Result<ModelConfig> read(std::string_view json) {
  SUTRA_ASSIGN(const JsonObject object, JsonObject::parse(json, "config.json"));
  return read_model_config(object);
}

void check_refused(const std::string& json, ErrorCode code, std::string_view words) {
  CAPTURE(json);
  const auto config = read(json);
  REQUIRE_FALSE(config);
  CHECK(config.error().code == code);
  CAPTURE(config.error().message);
  CHECK(config.error().message.find(words) != std::string::npos);
}

std::string llama(std::string_view more) {
  return concat(R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
    "intermediate_size": 96, "num_attention_heads": 4)",
                more, "}");
}

std::string bamba(std::string_view more) {
  return concat(R"({"model_type": "bamba", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 50,
    "intermediate_size": 96, "num_attention_heads": 4, "attn_layer_indices": [1], "mamba_n_heads": 8)",
                more, "}");
}

}  // namespace

TEST_CASE("llama's rotary positions are read as transformers 4 and 5 write them") {
  for (const char* spelling : {R"(, "rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0})",
                               R"(, "rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 4.0})",
                               R"(, "rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 4.0})"}) {
    CAPTURE(spelling);
    const ModelConfig config = value_of(read(llama(spelling)));
    const auto& c = std::get<DecoderConfig>(config.architecture);
    CHECK(config.architecture_name() == "llama");
    CHECK(c.attention.rope.theta == 5e5);
    CHECK(c.attention.rope.scaling == RopeConfig::Scaling::kLinear);
    CHECK(c.attention.rope.factor == 4.0);
    CHECK(c.attention.rope.rotary_dim == 16);
  }
}

TEST_CASE("bamba turns as much of a head as the transformers that wrote the file") {
  const auto rotary_dim = [](std::string_view more) {
    return std::get<DecoderConfig>(value_of(read(bamba(more))).architecture).attention.rope.rotary_dim;
  };
  CHECK(rotary_dim("") == 8);
  CHECK(rotary_dim(R"(, "partial_rotary_factor": 0.25)") == 4);
  CHECK(rotary_dim(R"(, "partial_rotary_factor": 0.5, "rope_parameters": {"partial_rotary_factor": 0.5})") == 16);
  CHECK(rotary_dim(R"(, "rope_parameters": {"rope_theta": 10000.0}, "attn_rotary_emb": 8)") == 8);
}

// As in the configurations of transformers 5.12.
TEST_CASE("decoders without rms_norm_eps have their architecture's") {
  constexpr std::string_view kMixer =
      R"("num_attention_heads": 4, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16, "mamba_expand": 2)";
  const auto epsilon = [](const std::string& json) {
    return std::get<DecoderConfig>(value_of(read(json)).architecture).rms_norm_eps;
  };
  const std::string sizes = R"("hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 50, "intermediate_size": 96, )";
  CHECK(epsilon(llama("")) == 1e-6f);
  CHECK(epsilon(bamba("")) == 1e-5f);
  CHECK(
      epsilon(concat(R"({"model_type": "granitemoehybrid", "layer_types": ["mamba"], "shared_intermediate_size": 96, )",
                     sizes, kMixer, "}")) == 1e-6f);
  CHECK(epsilon(concat(R"({"model_type": "falcon_h1", "head_dim": 16, "mamba_d_ssm": 128, )", sizes, kMixer, "}")) ==
        1e-5f);
}

TEST_CASE("what decoders cannot compute is refused by name") {
  check_refused(llama(R"(, "rope_scaling": {"rope_type": "yarn", "factor": 4.0})"), ErrorCode::kUnsupported, "yarn");
  check_refused(llama(R"(, "rope_scaling": {"rope_type": "linear"})"), ErrorCode::kNotFound, "factor");
  check_refused(llama(R"(, "num_key_value_heads": 3)"), ErrorCode::kMalformed, "4 attention heads");
  check_refused(llama(R"(, "head_dim": 15)"), ErrorCode::kMalformed, "even");
  check_refused(llama(R"(, "hidden_act": "gelu")"), ErrorCode::kUnsupported, "hidden_act");
  check_refused(llama(R"(, "max_position_embeddings": 0)"), ErrorCode::kMalformed, "max_position_embeddings");
  check_refused(bamba(R"(, "mamba_d_head": 15)"), ErrorCode::kMalformed, "8 heads of 15");
  check_refused(bamba(R"(, "mamba_n_groups": 3)"), ErrorCode::kMalformed, "3 groups");
  check_refused(R"({"model_type": "bamba", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 50,
    "intermediate_size": 96, "num_attention_heads": 4, "attn_layer_indices": [3]})",
                ErrorCode::kMalformed, "attn_layer_indices");
  const auto granite = [](std::string_view more) {
    return concat(R"({"model_type": "granitemoehybrid", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
      "shared_intermediate_size": 96, "num_attention_heads": 4, "mamba_n_heads": 8)",
                  more, "}");
  };
  check_refused(granite(""), ErrorCode::kMalformed, "layer_types");
  check_refused(granite(R"(, "layer_types": ["mamba", "linear_attention"])"), ErrorCode::kUnsupported,
                "linear_attention");
  check_refused(granite(R"(, "layer_types": ["mamba", "attention"], "num_local_experts": 8)"), ErrorCode::kUnsupported,
                "num_local_experts");
  const auto falcon_h1 = [](std::string_view more) {
    return concat(R"({"model_type": "falcon_h1", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
      "intermediate_size": 96, "num_attention_heads": 4, "mamba_n_heads": 8)",
                  more, "}");
  };
  check_refused(falcon_h1(R"(, "projectors_bias": true)"), ErrorCode::kUnsupported, "projectors_bias");
  check_refused(falcon_h1(R"(, "ssm_multipliers": [1, 1, 1])"), ErrorCode::kMalformed, "5 factors");
  check_refused(falcon_h1(R"(, "mlp_multipliers": [1, 0])"), ErrorCode::kMalformed, "2 factors");
  check_refused(falcon_h1(R"(, "mamba_d_ssm": 100)"), ErrorCode::kMalformed, "8 heads of 12");
}

TEST_CASE("RWKV-6 of flash-linear-attention is read by its keys") {
  const auto fla = [](std::string_view more) {
    return concat(
        R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 2,
      "proj_low_rank_dim": 8, "gate_low_rank_dim": 12, "expand_k": 1)",
        more, "}");
  };
  const auto c = std::get<Rwkv6Config>(value_of(read(fla(R"(, "norm_eps": 1e-6, "attn": null)"))).architecture);
  CHECK((c.n_head == 2 && c.head_size == 32 && c.dim_ffn == 224 && c.mix_low_rank == 8 && c.decay_low_rank == 12));
  CHECK((c.layer_norm_eps == 1e-6F && c.group_norm_eps == 1e-6F));
  check_refused(fla(R"(, "expand_v": 2)"), ErrorCode::kUnsupported, "expand_v");
  check_refused(fla(R"(, "attn": {"layers": [1]})"), ErrorCode::kUnsupported, "attention");
  check_refused(fla(R"(, "hidden_ratio": 1e300)"), ErrorCode::kMalformed, "hidden_ratio");
  check_refused(R"({"model_type": "rwkv6", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 3,
    "proj_low_rank_dim": 8, "expand_k": 1})",
                ErrorCode::kMalformed, "num_heads 3");
}

TEST_CASE("sizes whose state would not fit into an address space are refused, not wrapped") {
  check_refused(
      R"({"model_type": "mamba2", "hidden_size": 1, "num_hidden_layers": 64, "vocab_size": 50, "expand": 65536,
    "num_heads": 65536, "head_dim": 1, "state_size": 65536, "n_groups": 1})",
      ErrorCode::kTooLarge, "state of");
  check_refused(R"({"model_type": "mamba2", "hidden_size": 1048576, "num_hidden_layers": 1, "vocab_size": 50,
    "expand": 1048576, "n_groups": 1})",
                ErrorCode::kTooLarge, "expand");
  check_refused(llama(R"(, "head_dim": 1048576)"), ErrorCode::kTooLarge, "4 heads of 1048576");
}

TEST_CASE("mamba2's step limits are two ascending numbers") {
  const auto mamba2 = [](std::string_view limit) {
    return concat(R"({"model_type": "mamba2", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
      "num_heads": 8, "head_dim": 16, "n_groups": 2, "time_step_limit": )",
                  limit, "}");
  };
  const auto c = std::get<Mamba2Config>(value_of(read(mamba2("[0.25, Infinity]"))).architecture);
  CHECK(c.mixer.time_step_min == 0.25f);
  CHECK(c.mixer.time_step_max == std::numeric_limits<float>::infinity());
  CHECK(c.mixer.norm_size == 128);
  check_refused(mamba2("[0.5, 0.25]"), ErrorCode::kMalformed, "time_step_limit");
  check_refused(mamba2("[0.5]"), ErrorCode::kMalformed, "time_step_limit");
}

TEST_CASE("the original config.json of Mamba is read without a model_type") {
  const auto mamba1 = value_of(read(R"({"d_model": 768, "n_layer": 24, "vocab_size": 50277, "ssm_cfg": {},
    "rms_norm": true, "residual_in_fp32": true, "fused_add_norm": true, "pad_vocab_size_multiple": 8})"));
  const auto& c1 = std::get<MambaConfig>(mamba1.architecture);
  CHECK(c1.vocab_size == 50280);
  CHECK(c1.d_inner == 1536);
  CHECK(c1.dt_rank == 48);
  CHECK(c1.d_state == 16);
  CHECK(c1.tie_word_embeddings);
  const auto mamba2 = value_of(read(R"({"d_model": 768, "d_intermediate": 0, "n_layer": 24, "vocab_size": 50277,
    "ssm_cfg": {"layer": "Mamba2", "ngroups": 2}, "attn_layer_idx": [], "attn_cfg": {}, "pad_vocab_size_multiple": 16})"));
  const auto& c2 = std::get<Mamba2Config>(mamba2.architecture);
  CHECK(c2.vocab_size == 50288);
  CHECK(c2.mixer.n_heads == 24);
  CHECK(c2.mixer.d_state == 128);
  CHECK(c2.mixer.norm_size == 768);  // as it was trained: a group at a time
  check_refused(R"({"d_model": 768, "n_layer": 24, "vocab_size": 50277, "attn_layer_idx": [3]})",
                ErrorCode::kUnsupported, "attn_layer_idx");
}

TEST_CASE("a checkpoint of Mamba's authors gives the logits of its conversion") {
  const std::string source = test::golden_path("models/mamba-noconvbias");
  TensorMap tensors = test::load_tensors(source + "/model.safetensors");
  const test::TemporaryFolder folder;
  std::vector<TensorSpec> specs;
  const auto theirs = [](const std::string& name) {
    return name == "backbone.embeddings.weight" ? std::string("backbone.embedding.weight") : name;
  };
  for (const std::string& name : tensors.names()) {
    const Tensor& tensor = *tensors.find(name);
    specs.push_back({theirs(name), tensor.dtype(), tensor.shape()});
  }
  MemorySink sink;
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(sink, specs));
  for (const std::string& name : tensors.names()) require_ok(writer.write(theirs(name), tensors.find(name)->view()));
  require_ok(writer.finish());
  std::ofstream(folder.file("model.safetensors"), std::ios::binary)
      .write(reinterpret_cast<const char*>(sink.bytes().data()), static_cast<std::streamsize>(sink.bytes().size()));
  const auto converted = test::load_engine(source);
  const ModelConfig config = value_of(read(test::read_text(source + "/config.json")));
  const auto& c = std::get<MambaConfig>(config.architecture);
  std::ofstream(folder.file("config.json"))
      << concat(R"({"d_model": )", c.d_model, R"(, "n_layer": )", c.n_layer, R"(, "vocab_size": )", c.vocab_size - 3,
                R"(, "tie_embeddings": )", c.tie_word_embeddings ? "true" : "false", R"(, "ssm_cfg": {"conv_bias": )",
                c.use_conv_bias ? "true" : "false", R"(, "bias": )", c.use_bias ? "true" : "false", R"(, "d_conv": )",
                c.d_conv, R"(, "d_state": )", c.d_state, R"(, "dt_rank": )", c.dt_rank, "}}");
  const auto original = test::load_engine(folder.path());
  CHECK(original->info().unused_tensors.empty());
  const std::vector<int32_t> ids = {3, 1, 4, 1, 5, 9};
  const auto logits = [&](const std::shared_ptr<const Engine>& engine) {
    Session session = value_of(Session::create(engine));
    value_of(session.advance(ids));
    return std::vector<float>(session.logits().begin(), session.logits().end());
  };
  CHECK(logits(original) == logits(converted));
}

}  // namespace sutra
