#include "model/gated_mlp.h"

#include "kernels/elementwise/elementwise.h"

namespace sutra {

GatedMlp::Buffers GatedMlp::carve(Arena& arena, size_t dim_ffn, size_t n_tokens, size_t input_bytes) {
  Buffers b{};
  b.gate_up = arena.take<float>(n_tokens * 2 * dim_ffn);
  b.hidden = arena.take<float>(n_tokens * dim_ffn);
  b.q_gate = arena.take<std::byte>(input_bytes);
  b.q_up = arena.take<std::byte>(input_bytes);
  return b;
}

// The two products share their input where their weights are of one form, which is mostly so.
LinearInput GatedMlp::up_input(const float* x, size_t n_tokens, const Buffers& b) const {
  return {x, n_tokens, !up_ || up_->shares_input_with(gate_) ? b.q_gate : b.q_up};
}

void GatedMlp::prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const {
  gate_.prepare({x, n_tokens, b.q_gate}, first, last);
  const LinearInput up = up_input(x, n_tokens, b);
  if (up.quantized != b.q_gate) up_->prepare(up, first, last);
}

// hidden = silu(m_g · W_gate x) ⊙ W_up x, for some of its channels
void GatedMlp::project(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const {
  const LinearInput gate_input{x, n_tokens, b.q_gate};
  const size_t stride = 2 * dim_ffn_, n = last - first;
  if (up_) {
    gate_.multiply(gate_input, first, last, b.gate_up, stride);
    up_->multiply(up_input(x, n_tokens, b), first, last, b.gate_up + dim_ffn_, stride);
  } else if (n == dim_ffn_) {
    gate_.multiply(gate_input, 0, 2 * dim_ffn_, b.gate_up, stride);
  } else {
    gate_.multiply(gate_input, first, last, b.gate_up, stride);
    gate_.multiply(gate_input, dim_ffn_ + first, dim_ffn_ + last, b.gate_up, stride);
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    float* gate = b.gate_up + t * stride + first;
    float* up = gate + dim_ffn_;
    if (!gate_bias_.bytes().empty()) {
      kernels::add_bias(gate, data(gate_bias_) + first, 1, n, gate);
      kernels::add_bias(up, data(up_bias_) + first, 1, n, up);
    }
    if (gate_multiplier_ != 1) kernels::scale(gate, gate_multiplier_, n, gate);
    kernels::mul_silu(up, gate, n, b.hidden + t * dim_ffn_ + first);
  }
}

void GatedMlp::mix(const float* x, size_t n_tokens, const Buffers& b, float scale, float* scratch, float* residual,
                   ThreadPool& pool) const {
  // Rows of up that do not begin at a tile cannot be shared out.
  const size_t grain = up_ || dim_ffn_ % Linear::kTileRows == 0 ? Linear::kTileRows : dim_ffn_;
  share(pool, dim_ffn_, grain, {n_tokens, d_model_ * 2 * dim_ffn_},
        [&](size_t first, size_t last) { project(x, n_tokens, first, last, b); });
  const LinearInput hidden{b.hidden, n_tokens, b.q_gate};
  share(pool, n_tokens, 1, {n_tokens, dim_ffn_ * kElementwiseCost},
        [&](size_t first, size_t last) { down_.prepare(hidden, first, last); });
  multiply_add(down_, hidden, data_or_null(down_bias_), scratch, residual, pool, scale);
}

Result<GatedMlp> GatedMlp::take(WeightMap& tensors, const std::string& prefix, const Names& names,
                                const DecoderConfig& decoder, const ModelConfig& config, const WeightOptions& options) {
  const size_t d_model = decoder.d_model, dim_ffn = decoder.dim_ffn;
  GatedMlp m;
  m.d_model_ = d_model;
  m.dim_ffn_ = dim_ffn;
  m.gate_multiplier_ = decoder.gate_multiplier;
  const bool has_up = !names.up.empty();
  const size_t n_gate_rows = has_up ? dim_ffn : 2 * dim_ffn;
  SUTRA_ASSIGN(m.gate_, Linear::take(tensors, concat(prefix, names.gate), n_gate_rows, d_model, config, options));
  if (has_up) {
    SUTRA_ASSIGN(m.up_, Linear::take(tensors, concat(prefix, names.up), dim_ffn, d_model, config, options));
  }
  SUTRA_ASSIGN(m.down_, Linear::take(tensors, concat(prefix, names.down), d_model, dim_ffn, config, options));
  if (decoder.use_mlp_bias) {
    SUTRA_ASSIGN(m.gate_bias_, take_vector(tensors, concat(prefix, names.gate, ".bias"), {dim_ffn}));
    SUTRA_ASSIGN(m.up_bias_, take_vector(tensors, concat(prefix, names.up, ".bias"), {dim_ffn}));
    SUTRA_ASSIGN(m.down_bias_, take_vector(tensors, concat(prefix, names.down, ".bias"), {d_model}));
  }
  return m;
}

}  // namespace sutra
