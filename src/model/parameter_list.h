// What the lists of parameters are written with.
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/parameters.h"

namespace sutra {

using Initialise = std::function<void(Rng&, std::span<float>)>;

inline Initialise constant(double value) {
  return [value](Rng&, std::span<float> values) {
    for (float& v : values) v = static_cast<float>(value);
  };
}

inline Initialise uniform(double bound) {
  return [bound](Rng& rng, std::span<float> values) {
    for (float& v : values) v = static_cast<float>((2 * rng.next_unit() - 1) * bound);
  };
}

// f(i) of the index of each channel.
template <class F>
Initialise by_channel(const F& f) {
  return [f](Rng&, std::span<float> values) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(f(static_cast<double>(i)));
  };
}

// A matrix of n_in inputs, uniform within gain / √n_in.
inline Initialise fan_in(size_t n_in, double gain) { return uniform(gain / std::sqrt(static_cast<double>(n_in))); }

inline void add_norm(std::vector<Parameter>& out, const std::string& name, size_t n, Initialise weight = constant(1)) {
  out.push_back({name + ".weight", {n}, false, std::move(weight)});
  out.push_back({name + ".bias", {n}, false, constant(0)});
}

inline void add_matrix(std::vector<Parameter>& out, const std::string& name, size_t n_out, size_t n_in,
                       Initialise weight) {
  out.push_back({name + ".weight", {n_out, n_in}, true, std::move(weight)});
}

// Of the parameters from index `first` on.
inline void set_layer(std::vector<Parameter>& out, size_t first, size_t layer) {
  for (Parameter& parameter : std::span(out).subspan(first)) parameter.layer = layer;
}

// Each version's list, in the order of the forward pass.
std::vector<Parameter> parameters_of(const Rwkv4Config& c);
std::vector<Parameter> parameters_of(const Rwkv5Config& c);
std::vector<Parameter> parameters_of(const Rwkv6Config& c);

}  // namespace sutra
