#include "model/attention.h"

#include <numbers>

#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/rope/rope.h"

namespace sutra {

std::vector<double> rotary_frequencies(const RopeConfig& rope) {
  std::vector<double> frequencies(rope.rotary_dim / 2);
  kernels::rope_frequencies(rope.theta, frequencies);
  for (double& frequency : frequencies) {
    if (rope.scaling == RopeConfig::Scaling::kLinear) frequency /= rope.factor;
    if (rope.scaling != RopeConfig::Scaling::kLlama3) continue;
    // Full turns in the context of the training: many stay as they are, few are slowed down, between them is a ramp.
    const double turns = rope.original_max_position * frequency / (2 * std::numbers::pi);
    const double share = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
    const double kept = std::clamp(share, 0.0, 1.0);
    frequency = (1 - kept) * (frequency / rope.factor) + kept * frequency;
  }
  return frequencies;
}

Attention::Buffers Attention::carve(Arena& arena, const AttentionConfig& c, size_t n_tokens, size_t input_bytes) {
  Buffers b{};
  b.cos = arena.take<float>(n_tokens * c.rope.rotary_dim / 2);
  b.sin = arena.take<float>(n_tokens * c.rope.rotary_dim / 2);
  b.q = arena.take<float>(n_tokens * c.n_heads * c.head_dim);
  b.k = arena.take<float>(n_tokens * c.n_kv_heads * c.head_dim);
  b.v = arena.take<float>(n_tokens * c.n_kv_heads * c.head_dim);
  b.y = arena.take<float>(n_tokens * c.n_heads * c.head_dim);
  b.q_q = arena.take<std::byte>(input_bytes);
  b.q_k = arena.take<std::byte>(input_bytes);
  b.q_v = arena.take<std::byte>(input_bytes);
  return b;
}

// The three products share their input where their weights are of one form, which is mostly so.
Attention::Inputs Attention::inputs(const float* x, size_t n_tokens, const Buffers& b) const {
  const bool k_shares = k_proj_.shares_input_with(q_proj_), v_shares = v_proj_.shares_input_with(q_proj_);
  return {{x, n_tokens, b.q_q}, {x, n_tokens, k_shares ? b.q_q : b.q_k}, {x, n_tokens, v_shares ? b.q_q : b.q_v}};
}

void Attention::prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const {
  const Inputs in = inputs(x, n_tokens, b);
  q_proj_.prepare(in.q, first, last);
  if (in.k.quantized != in.q.quantized) k_proj_.prepare(in.k, first, last);
  if (in.v.quantized != in.q.quantized) v_proj_.prepare(in.v, first, last);
}

// Everything between the projections and the output projection, for one head of keys and values and its queries.
void Attention::attend(size_t kv_head, size_t n_tokens, const State& state, const Cache& cache,
                       const Buffers& b) const {
  const size_t head_dim = c_.head_dim, n_queries = c_.n_heads / c_.n_kv_heads;
  const size_t q_stride = c_.n_heads * head_dim, kv_stride = c_.n_kv_heads * head_dim;
  const size_t kv_first = kv_head * head_dim, q_first = kv_first * n_queries;
  float* q = b.q + q_first;
  float* k = b.k + kv_first;
  float* v = b.v + kv_first;
  for (size_t t = 0; t < n_tokens && c_.use_bias; ++t) {
    float *q_t = q + t * q_stride, *k_t = k + t * kv_stride, *v_t = v + t * kv_stride;
    kernels::add_bias(q_t, data(q_bias_) + q_first, 1, n_queries * head_dim, q_t);
    kernels::add_bias(k_t, data(k_bias_) + kv_first, 1, head_dim, k_t);
    kernels::add_bias(v_t, data(v_bias_) + kv_first, 1, head_dim, v_t);
  }
  // q ← R_t q; k ← R_t k
  const size_t rotary_dim = c_.rope.rotary_dim;
  kernels::rope({q, q_stride, n_tokens, n_queries, head_dim, rotary_dim, b.cos, b.sin});
  kernels::rope({k, kv_stride, n_tokens, 1, head_dim, rotary_dim, b.cos, b.sin});
  // y = softmax(scale · q kᵀ) v over the tokens so far
  const auto position = static_cast<size_t>(state.n_tokens);
  const size_t plane = kernels::cache_page_floats(head_dim);
  const kernels::CacheHead head{state.pages.data(), cache.keys->offset + kv_head * plane,
                                cache.values->offset + kv_head * plane, head_dim};
  kernels::cache_append({k, v, kv_stride, n_tokens, position, head});
  kernels::attention({q, q_stride, n_tokens, n_queries, position, c_.scale, head, b.y + q_first});
}

void Attention::mix(const float* x, size_t n_tokens, const State& state, const Cache& cache, const Buffers& b,
                    float scale, float* scratch, float* residual, ThreadPool& pool) const {
  const size_t q_dim = c_.n_heads * c_.head_dim, kv_dim = c_.n_kv_heads * c_.head_dim;
  const Inputs in = inputs(x, n_tokens, b);
  const Product products[] = {
      {&q_proj_, in.q, b.q, q_dim}, {&k_proj_, in.k, b.k, kv_dim}, {&v_proj_, in.v, b.v, kv_dim}};
  multiply_all(products, pool);

  const size_t n_seen = static_cast<size_t>(state.n_tokens) + n_tokens;
  share(pool, c_.n_kv_heads, 1, {n_tokens, q_dim * (2 * n_seen + kElementwiseCost)}, [&](size_t first, size_t last) {
    for (size_t kv_head = first; kv_head < last; ++kv_head) attend(kv_head, n_tokens, state, cache, b);
  });

  const LinearInput y{b.y, n_tokens, b.q_q};
  share(pool, n_tokens, 1, {n_tokens, q_dim * kElementwiseCost},
        [&](size_t first, size_t last) { o_proj_.prepare(y, first, last); });
  multiply_add(o_proj_, y, data_or_null(o_bias_), scratch, residual, pool, scale);
}

Result<Attention> Attention::take(WeightMap& tensors, const std::string& prefix, const AttentionConfig& c,
                                  const ModelConfig& config, const WeightOptions& options) {
  const size_t q_dim = c.n_heads * c.head_dim, kv_dim = c.n_kv_heads * c.head_dim;
  Attention a;
  a.c_ = c;
  SUTRA_ASSIGN(a.q_proj_, Linear::take(tensors, prefix + "q_proj", q_dim, c.d_model, config, options));
  SUTRA_ASSIGN(a.k_proj_, Linear::take(tensors, prefix + "k_proj", kv_dim, c.d_model, config, options));
  SUTRA_ASSIGN(a.v_proj_, Linear::take(tensors, prefix + "v_proj", kv_dim, c.d_model, config, options));
  SUTRA_ASSIGN(a.o_proj_, Linear::take(tensors, prefix + "o_proj", c.d_model, q_dim, config, options));
  if (c.use_bias) {
    SUTRA_ASSIGN(a.q_bias_, take_vector(tensors, prefix + "q_proj.bias", {q_dim}));
    SUTRA_ASSIGN(a.k_bias_, take_vector(tensors, prefix + "k_proj.bias", {kv_dim}));
    SUTRA_ASSIGN(a.v_bias_, take_vector(tensors, prefix + "v_proj.bias", {kv_dim}));
    SUTRA_ASSIGN(a.o_bias_, take_vector(tensors, prefix + "o_proj.bias", {c.d_model}));
  }
  return a;
}

}  // namespace sutra
