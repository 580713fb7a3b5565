#include "model/rwkv7.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/wkv/wkv7.h"

namespace sutra {
namespace {

enum Field : size_t { kAttXPrev, kAttKv, kFfnXPrev };

StateLayout make_layout(const Rwkv7Config& c) {
  StateLayout layout;
  layout.add({"att_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  layout.add({"att_kv",
              0,
              c.n_layer * c.n_head,
              c.head_size,
              c.head_size,
              true,
              {c.n_layer, c.n_head, c.head_size, c.head_size}});
  layout.add({"ffn_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  return layout;
}

const float* data(const Tensor& tensor) { return tensor.as<float>().data(); }

}  // namespace

// Every intermediate of a chunk of T tokens; [T, C] unless said otherwise.
struct Rwkv7::Buffers {
  float* x;       // residual stream
  float* x_norm;  // ln1, ln2 or ln_out of x
  float *x_r, *x_w, *x_k, *x_v, *x_a, *x_g;
  float *r, *w, *k, *v, *a, *g, *kk;
  float* v_first;
  float* y;
  float* low_rank;  // [T, largest low rank]
  float* ffn_k;     // [T, dim_ffn]
  LinearScratch scratch;
};

Rwkv7::Buffers Rwkv7::carve(Arena& arena, size_t n_tokens) const {
  const size_t n = n_tokens * config_.n_embd;
  Buffers b{};
  for (float** buffer : {&b.x, &b.x_norm, &b.x_r, &b.x_w, &b.x_k, &b.x_v, &b.x_a, &b.x_g, &b.r, &b.w, &b.k, &b.v, &b.a,
                         &b.g, &b.kk, &b.v_first, &b.y}) {
    *buffer = arena.take<float>(n);
  }
  b.low_rank = arena.take<float>(
      n_tokens * std::max({config_.decay_low_rank, config_.a_low_rank, config_.v_low_rank, config_.gate_low_rank}));
  b.ffn_k = arena.take<float>(n_tokens * config_.dim_ffn);
  size_t scratch_bytes = 0;
  for_each_linear([&](const Linear& l) { scratch_bytes = std::max(scratch_bytes, l.scratch_bytes(n_tokens)); });
  b.scratch.activations = arena.take<std::byte>(scratch_bytes);
  return b;
}

void Rwkv7::layer_norm(const NormWeights& norm, const float* x, size_t n_tokens, float* y) const {
  kernels::layer_norm({x, n_tokens, config_.n_embd, data(norm.weight), data(norm.bias), config_.layer_norm_eps, y});
}

void Rwkv7::time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer].att;
  const size_t n_embd = config_.n_embd, n_head = config_.n_head, head_size = config_.head_size;
  const size_t n = n_tokens * n_embd;
  float* x_prev = state.field(layout_.fields[kAttXPrev]) + layer * n_embd;
  float* wkv_state = state.field(layout_.fields[kAttKv]) + layer * n_head * head_size * head_size;

  layer_norm(att.ln1, b.x, n_tokens, b.x_norm);
  const kernels::TokenShiftMix mixes[] = {{data(att.x_r), b.x_r}, {data(att.x_w), b.x_w}, {data(att.x_k), b.x_k},
                                          {data(att.x_v), b.x_v}, {data(att.x_a), b.x_a}, {data(att.x_g), b.x_g}};
  kernels::token_shift_lerp({b.x_norm, x_prev, n_tokens, n_embd, mixes, std::size(mixes)});
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);

  att.receptance.forward(b.x_r, n_tokens, b.r, b.scratch, pool);
  att.key.forward(b.x_k, n_tokens, b.k, b.scratch, pool);
  att.value.forward(b.x_v, n_tokens, b.v, b.scratch, pool);

  // w = exp(-e^(-1/2) σ(w0 + W2 tanh(W1 x_w)))
  att.w1.forward(b.x_w, n_tokens, b.low_rank, b.scratch, pool);
  kernels::tanh(b.low_rank, n_tokens * att.w1.n_out(), b.low_rank);
  att.w2.forward(b.low_rank, n_tokens, b.w, b.scratch, pool);
  kernels::add_bias(b.w, data(att.w0), n_tokens, n_embd, b.w);
  kernels::rwkv7_decay(b.w, n, b.w);

  // a = σ(a0 + A2 A1 x_a)
  att.a1.forward(b.x_a, n_tokens, b.low_rank, b.scratch, pool);
  att.a2.forward(b.low_rank, n_tokens, b.a, b.scratch, pool);
  kernels::add_bias(b.a, data(att.a0), n_tokens, n_embd, b.a);
  kernels::sigmoid(b.a, n, b.a);

  // g = G2 σ(G1 x_g)
  att.g1.forward(b.x_g, n_tokens, b.low_rank, b.scratch, pool);
  kernels::sigmoid(b.low_rank, n_tokens * att.g1.n_out(), b.low_rank);
  att.g2.forward(b.low_rank, n_tokens, b.g, b.scratch, pool);

  // v_first, or v + (v_first - v) σ(v0 + V2 V1 x_v); y is free until the recurrence.
  if (layer == 0) {
    std::copy_n(b.v, n, b.v_first);
  } else {
    att.v1.forward(b.x_v, n_tokens, b.low_rank, b.scratch, pool);
    att.v2.forward(b.low_rank, n_tokens, b.y, b.scratch, pool);
    kernels::add_bias(b.y, data(att.v0), n_tokens, n_embd, b.y);
    kernels::rwkv7_value_residual(b.v, b.v_first, b.y, n, b.v);
  }

  // κ from k before k is scaled
  kernels::l2_normalize({b.k, n_tokens, n_head, head_size, data(att.k_k), b.kk});
  kernels::rwkv7_replacement_key(b.k, b.a, data(att.k_a), n_tokens, n_embd, b.k);

  pool.parallel_for(n_head, 1, [&](size_t first, size_t last) {
    kernels::wkv7({b.r, b.w, b.k, b.v, b.kk, b.a, n_tokens, n_head, head_size, first, last, wkv_state, b.y});
  });
  kernels::group_norm(
      {b.y, n_tokens, n_head, head_size, data(att.ln_x.weight), data(att.ln_x.bias), config_.group_norm_eps, b.y});
  kernels::rwkv7_add_bonus({b.r, b.k, b.v, data(att.r_k), n_tokens, n_head, head_size, b.y});
  kernels::mul(b.y, b.g, n, b.y);
  att.output.forward(b.y, n_tokens, b.x_norm, b.scratch, pool);
  kernels::add(b.x, b.x_norm, n, b.x);
}

void Rwkv7::channel_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const ChannelMix& ffn = blocks_[layer].ffn;
  const size_t n_embd = config_.n_embd;
  const size_t n = n_tokens * n_embd;
  float* x_prev = state.field(layout_.fields[kFfnXPrev]) + layer * n_embd;

  layer_norm(ffn.ln2, b.x, n_tokens, b.x_norm);
  const kernels::TokenShiftMix mix{data(ffn.x_k), b.x_k};
  kernels::token_shift_lerp({b.x_norm, x_prev, n_tokens, n_embd, &mix, 1});
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);
  ffn.key.forward(b.x_k, n_tokens, b.ffn_k, b.scratch, pool);
  kernels::relu_squared(b.ffn_k, n_tokens * config_.dim_ffn, b.ffn_k);
  ffn.value.forward(b.ffn_k, n_tokens, b.x_norm, b.scratch, pool);
  kernels::add(b.x, b.x_norm, n, b.x);
}

void Rwkv7::forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace,
                    ThreadPool& pool, std::span<float> logits) const {
  const size_t n_tokens = ids.size();
  SUTRA_ASSERT(n_tokens >= 1 && n_tokens <= workspace.max_tokens);
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);

  for (size_t t = 0; t < n_tokens; ++t) {
    embeddings_.copy_row(static_cast<size_t>(ids[t]), b.x + t * config_.n_embd);
  }
  layer_norm(ln0_, b.x, n_tokens, b.x);
  for (size_t layer = 0; layer < config_.n_layer; ++layer) {
    time_mix(layer, state, n_tokens, b, pool);
    channel_mix(layer, state, n_tokens, b, pool);
  }
  state.n_tokens += n_tokens;

  if (wanted == LogitsWanted::kNone) return;
  const size_t n_wanted = wanted == LogitsWanted::kAll ? n_tokens : 1;
  SUTRA_ASSERT(logits.size() == n_wanted * config_.vocab_size);
  layer_norm(ln_out_, b.x + (n_tokens - n_wanted) * config_.n_embd, n_wanted, b.x_norm);
  (head_ ? *head_ : embeddings_).forward(b.x_norm, n_wanted, logits.data(), b.scratch, pool);
}

template <class Visit>
void Rwkv7::for_each_linear(const Visit& visit) const {
  visit(embeddings_);
  for (const Block& block : blocks_) {
    for (const Linear* linear : {&block.att.receptance, &block.att.key, &block.att.value, &block.att.output,
                                 &block.att.w1, &block.att.w2, &block.att.a1, &block.att.a2, &block.att.v1,
                                 &block.att.v2, &block.att.g1, &block.att.g2, &block.ffn.key, &block.ffn.value}) {
      visit(*linear);
    }
  }
  if (head_) visit(*head_);
}

Result<Workspace> Rwkv7::create_workspace(size_t max_tokens) const {
  Arena measure;
  carve(measure, max_tokens);
  Workspace workspace;
  SUTRA_ASSIGN(workspace.buffer, AlignedBuffer::create(measure.used()));
  workspace.max_tokens = max_tokens;
  return workspace;
}

uint64_t Rwkv7::weight_bytes() const {
  uint64_t bytes = 0;
  for_each_linear([&](const Linear& linear) { bytes += linear.weight_bytes(); });
  return bytes;
}

Result<Rwkv7::NormWeights> Rwkv7::take_norm(WeightMap& tensors, std::string_view name, size_t n_embd) {
  NormWeights norm;
  SUTRA_ASSIGN(norm.weight, take_vector(tensors, concat(name, ".weight"), {n_embd}));
  SUTRA_ASSIGN(norm.bias, take_vector(tensors, concat(name, ".bias"), {n_embd}));
  return norm;
}

Result<Rwkv7::TimeMix> Rwkv7::take_time_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                            const WeightOptions& options) const {
  const Rwkv7Config& c = config_;
  const size_t n_embd = c.n_embd;
  const std::string p = concat("model.layers.", layer, ".");
  const std::string attn = p + "attn.";
  const auto linear = [&](std::string_view name, size_t n_out, size_t n_in) {
    return Linear::take(tensors, attn + std::string(name), n_out, n_in, config, options);
  };
  const auto vector = [&](std::string_view name) { return take_vector(tensors, attn + std::string(name), {n_embd}); };
  const auto mix = [&](std::string_view name) {
    return take_vector(tensors, attn + std::string(name), {1, 1, n_embd});
  };
  TimeMix m;
  SUTRA_ASSIGN(m.ln1, take_norm(tensors, p + "attn_norm", n_embd));
  SUTRA_ASSIGN(m.x_r, mix("x_r"));
  SUTRA_ASSIGN(m.x_w, mix("x_w"));
  SUTRA_ASSIGN(m.x_k, mix("x_k"));
  SUTRA_ASSIGN(m.x_v, mix("x_v"));
  SUTRA_ASSIGN(m.x_a, mix("x_a"));
  SUTRA_ASSIGN(m.x_g, mix("x_g"));
  SUTRA_ASSIGN(m.receptance, linear("r_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.key, linear("k_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.value, linear("v_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.output, linear("o_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.w1, linear("w_lora.lora.0", c.decay_low_rank, n_embd));
  SUTRA_ASSIGN(m.w2, linear("w_lora.lora.2", n_embd, c.decay_low_rank));
  SUTRA_ASSIGN(m.w0, vector("w_lora.lora.2.bias"));
  SUTRA_ASSIGN(m.a1, linear("a_lora.lora.0", c.a_low_rank, n_embd));
  SUTRA_ASSIGN(m.a2, linear("a_lora.lora.2", n_embd, c.a_low_rank));
  SUTRA_ASSIGN(m.a0, vector("a_lora.lora.2.bias"));
  if (layer > 0) {
    SUTRA_ASSIGN(m.v1, linear("v_lora.lora.0", c.v_low_rank, n_embd));
    SUTRA_ASSIGN(m.v2, linear("v_lora.lora.2", n_embd, c.v_low_rank));
    SUTRA_ASSIGN(m.v0, vector("v_lora.lora.2.bias"));
  }
  SUTRA_ASSIGN(m.g1, linear("g_lora.lora.0", c.gate_low_rank, n_embd));
  SUTRA_ASSIGN(m.g2, linear("g_lora.lora.2", n_embd, c.gate_low_rank));
  SUTRA_ASSIGN(m.k_k, vector("k_k"));
  SUTRA_ASSIGN(m.k_a, vector("k_a"));
  SUTRA_ASSIGN(m.r_k, take_vector(tensors, attn + "r_k", {c.n_head, c.head_size}));
  SUTRA_ASSIGN(m.ln_x, take_norm(tensors, attn + "g_norm", n_embd));
  return m;
}

Result<Rwkv7::ChannelMix> Rwkv7::take_channel_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                                  const WeightOptions& options) const {
  const std::string p = concat("model.layers.", layer, ".");
  ChannelMix m;
  SUTRA_ASSIGN(m.ln2, take_norm(tensors, p + "ffn_norm", config_.n_embd));
  SUTRA_ASSIGN(m.x_k, take_vector(tensors, p + "ffn.x_k", {config_.n_embd}));
  SUTRA_ASSIGN(m.key, Linear::take(tensors, p + "ffn.key", config_.dim_ffn, config_.n_embd, config, options));
  SUTRA_ASSIGN(m.value, Linear::take(tensors, p + "ffn.value", config_.n_embd, config_.dim_ffn, config, options));
  return m;
}

Result<std::unique_ptr<Model>> Rwkv7::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Rwkv7>();
  model->config_ = std::get<Rwkv7Config>(config.architecture);
  const Rwkv7Config& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_ASSIGN(model->embeddings_, Linear::take(tensors, "model.embeddings", c.vocab_size, c.n_embd, config, options));
  SUTRA_ASSIGN(model->ln0_, take_norm(tensors, "model.layers.0.pre_norm", c.n_embd));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    Block block;
    SUTRA_ASSIGN(block.att, model->take_time_mix(layer, tensors, config, options));
    SUTRA_ASSIGN(block.ffn, model->take_channel_mix(layer, tensors, config, options));
    model->blocks_.push_back(std::move(block));
  }
  SUTRA_ASSIGN(model->ln_out_, take_norm(tensors, "model.norm", c.n_embd));
  if (!c.tie_word_embeddings) {
    SUTRA_ASSIGN(model->head_, Linear::take(tensors, "lm_head", c.vocab_size, c.n_embd, config, options));
  }
  return model;
}

}  // namespace sutra
