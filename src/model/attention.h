// Self-attention with grouped queries, rotary positions and a cache: everything between the residual stream and itself
// but the norm before it. Equations, names and shapes: models/llama.md; the code follows it line by line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/linear.h"
#include "model/model.h"

namespace sutra {

// Of GGUF files: what the rotary frequencies of all layers are divided by, [rotary_dim / 2].
inline constexpr std::string_view kRopeFactorsName = "rope_freqs.weight";

// Angles a position, after the scaling of the config: rotary_dim / 2 numbers of at most 1.
std::vector<double> rotary_frequencies(const RopeConfig& rope);

class Attention {
 public:
  // Every intermediate of a chunk of T tokens.
  struct Buffers {
    float* cos;  // [T, rotary_dim / 2], the same in every layer
    float* sin;
    float* q;  // [T, n_heads · head_dim]
    float* k;  // [T, n_kv_heads · head_dim]
    float* v;
    float* y;                    // [T, n_heads · head_dim]
    std::byte *q_q, *q_k, *q_v;  // integers of x, for each matrix; q_q then of y
  };
  // Where the layer's cache is: fields of the state's layout.
  struct Cache {
    const StateField* keys;
    const StateField* values;
  };

  // Tensors by names that begin with `prefix`.
  static Result<Attention> take(WeightMap& tensors, const std::string& prefix, const AttentionConfig& attention,
                                const ModelConfig& config, const WeightOptions& options);
  static Buffers carve(Arena& arena, const AttentionConfig& attention, size_t n_tokens, size_t input_bytes);

  // Quantises tokens first ≤ t < last of x [T, d_model], the layer's input.
  void prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const;
  // residual [T, d_model] += attention(x) · scale, with x, which is prepared, added to the cache after the state's
  // tokens. `scratch` [T, d_model] may be x.
  void mix(const float* x, size_t n_tokens, const State& state, const Cache& cache, const Buffers& b, float scale,
           float* scratch, float* residual, ThreadPool& pool) const;

  void measure(LinearSizes& sizes) const {
    for (const Linear* linear : {&q_proj_, &k_proj_, &v_proj_, &o_proj_}) sizes.add(*linear);
  }

 private:
  struct Inputs {
    LinearInput q, k, v;
  };
  [[nodiscard]] Inputs inputs(const float* x, size_t n_tokens, const Buffers& b) const;
  void attend(size_t kv_head, size_t n_tokens, const State& state, const Cache& cache, const Buffers& b) const;

  AttentionConfig c_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  Tensor q_bias_, k_bias_, v_bias_, o_bias_;  // with use_bias
};

}  // namespace sutra
