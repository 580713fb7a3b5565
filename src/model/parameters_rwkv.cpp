// RWKV-4, 5 and 6, under BlinkDL's names.
#include "model/parameter_list.h"

namespace sutra {
namespace {

// Where a layer and a channel are, as the start values want it.
struct Place {
  double below;  // 0 in the first layer, 1 in the last
  double above;  // 1 in the first layer, near 0 in the last
  double width;  // C

  Place(size_t layer, size_t n_layer, size_t n_embd)
      : below(static_cast<double>(layer) / static_cast<double>(std::max<size_t>(1, n_layer - 1))),
        above(1 - static_cast<double>(layer) / static_cast<double>(n_layer)),
        width(static_cast<double>(n_embd)) {}
  // 0 … 1 over the channels
  [[nodiscard]] double along(double i) const { return i / std::max(1.0, width - 1); }
};

// −0.5, 0, 0.5 in turn: no two neighbours begin alike.
double zigzag(double i) { return (std::fmod(i + 1, 3) - 1) * 0.5; }

// The share of x itself in a token shift: (i / C)^power + more.
Initialise mix_of(const Place& place, double power, double more = 0) {
  return by_channel([=](double i) { return std::pow(i / place.width, power) + more; });
}

Initialise inverse_mix_of(const Place& place, double power, double more = 0) {
  return by_channel([=](double i) { return 1 - (std::pow(i / place.width, power) + more); });
}

Initialise decay_of(const Place& place, double low, double range) {
  return by_channel([=](double i) { return low + range * std::pow(place.along(i), 0.7 + 1.3 * place.below); });
}

Initialise bonus_of(const Place& place) {
  return by_channel([=](double i) { return place.below * (1 - place.along(i)) + zigzag(i) * 0.2; });
}

void add_vector(std::vector<Parameter>& out, std::string name, const Shape& shape, Initialise initialise) {
  out.push_back({std::move(name), shape, false, std::move(initialise)});
}

// W_r and W_v of the channel mix start at zero in training.
void add_channel_mix(std::vector<Parameter>& out, const std::string& ffn, size_t n_embd, size_t dim_ffn) {
  add_matrix(out, ffn + "key", dim_ffn, n_embd, fan_in(n_embd, 0.5));
  add_matrix(out, ffn + "receptance", n_embd, n_embd, fan_in(n_embd, 0.05));
  add_matrix(out, ffn + "value", n_embd, dim_ffn, fan_in(dim_ffn, 0.05));
}

// Embedding, norms and head around the blocks' own parameters.
template <class Config, class AddTimeMix>
std::vector<Parameter> around(const Config& c, const AddTimeMix& add_time_mix) {
  std::vector<Parameter> out;
  add_matrix(out, "emb", c.vocab_size, c.n_embd, uniform(1e-2));
  add_norm(out, "blocks.0.ln0", c.n_embd);
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const size_t first = out.size();
    const std::string p = concat("blocks.", layer, ".");
    add_norm(out, p + "ln1", c.n_embd);
    add_time_mix(out, p, Place(layer, c.n_layer, c.n_embd));
    add_matrix(out, p + "att.output", c.n_embd, c.n_embd, fan_in(c.n_embd, 0.05));
    add_norm(out, p + "ln2", c.n_embd);
    add_channel_mix(out, p + "ffn.", c.n_embd, c.dim_ffn);
    set_layer(out, first, layer);
  }
  add_norm(out, "ln_out", c.n_embd);
  if (!c.tie_word_embeddings) add_matrix(out, "head", c.vocab_size, c.n_embd, fan_in(c.n_embd, 0.5));
  return out;
}

void add_mixes_4(std::vector<Parameter>& out, const std::string& p, const Place& place, const Shape& shape) {
  add_vector(out, p + "att.time_mix_k", shape, mix_of(place, place.above));
  add_vector(out, p + "att.time_mix_v", shape, mix_of(place, place.above, 0.3 * place.below));
  add_vector(out, p + "att.time_mix_r", shape, mix_of(place, 0.5 * place.above));
  add_vector(out, p + "ffn.time_mix_k", shape, mix_of(place, place.above));
  add_vector(out, p + "ffn.time_mix_r", shape, mix_of(place, place.above));
}

}  // namespace

std::vector<Parameter> parameters_of(const Rwkv4Config& c) {
  return around(c, [&](std::vector<Parameter>& out, const std::string& p, const Place& place) {
    const std::string att = p + "att.";
    add_mixes_4(out, p, place, {1, 1, c.n_embd});
    add_vector(out, att + "time_decay", {c.n_embd}, decay_of(place, -5, 8));
    add_vector(out, att + "time_first", {c.n_embd}, by_channel([](double i) { return std::log(0.3) + zigzag(i); }));
    for (const char* name : {"receptance", "key", "value"}) {
      add_matrix(out, att + name, c.n_embd, c.n_embd, fan_in(c.n_embd, 0.5));
    }
  });
}

std::vector<Parameter> parameters_of(const Rwkv5Config& c) {
  return around(c, [&](std::vector<Parameter>& out, const std::string& p, const Place& place) {
    const std::string att = p + "att.";
    add_mixes_4(out, p, place, {1, 1, c.n_embd});
    if (c.has_gate) add_vector(out, att + "time_mix_g", {1, 1, c.n_embd}, mix_of(place, 0.5 * place.above));
    if (c.per_channel_decay) {
      add_vector(out, att + "time_decay", {c.n_head, c.head_size}, decay_of(place, -6, 5));
      add_vector(out, att + "time_faaaa", {c.n_head, c.head_size}, bonus_of(place));
    } else {
      const Place heads(0, 1, c.n_head);
      add_vector(out, att + "time_decay", {c.n_head}, decay_of(heads, -6, 5));
      add_vector(out, att + "time_first", {c.n_head}, by_channel([](double i) { return std::log(0.3) + zigzag(i); }));
    }
    for (const char* name : {"receptance", "key", "value"}) {
      add_matrix(out, att + name, c.n_embd, c.n_embd, fan_in(c.n_embd, 0.5));
    }
    if (c.has_gate) add_matrix(out, att + "gate", c.n_embd, c.n_embd, fan_in(c.n_embd, 0.5));
    add_norm(out, att + "ln_x", c.n_embd);
  });
}

std::vector<Parameter> parameters_of(const Rwkv6Config& c) {
  return around(c, [&](std::vector<Parameter>& out, const std::string& p, const Place& place) {
    const std::string att = p + "att.";
    const auto mix = [&](const std::string& name, double power, double more = 0) {
      add_vector(out, p + name, {1, 1, c.n_embd}, inverse_mix_of(place, power, more));
    };
    mix("att.time_maa_x", place.above);
    mix("att.time_maa_w", place.above);
    mix("att.time_maa_k", place.above);
    mix("att.time_maa_v", place.above, 0.3 * place.below);
    mix("att.time_maa_r", 0.5 * place.above);
    mix("att.time_maa_g", 0.5 * place.above);
    mix("ffn.time_maa_k", place.above);
    mix("ffn.time_maa_r", place.above);
    const auto low_rank = [&](const std::string& name, const Shape& shape) {
      out.push_back({att + name, shape, true, uniform(1e-2)});
    };
    low_rank("time_maa_w1", {c.n_embd, 5 * c.mix_low_rank});
    low_rank("time_maa_w2", {5, c.mix_low_rank, c.n_embd});
    add_vector(out, att + "time_decay", {1, 1, c.n_embd}, decay_of(place, -6, 5));
    low_rank("time_decay_w1", {c.n_embd, c.decay_low_rank});
    low_rank("time_decay_w2", {c.decay_low_rank, c.n_embd});
    add_vector(out, att + "time_faaaa", {c.n_head, c.head_size}, bonus_of(place));
    for (const char* name : {"receptance", "key", "value", "gate"}) {
      add_matrix(out, att + name, c.n_embd, c.n_embd, fan_in(c.n_embd, 0.5));
    }
    add_norm(out, att + "ln_x", c.n_embd);
  });
}

}  // namespace sutra
