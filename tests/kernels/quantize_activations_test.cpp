#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <limits>
#include <string>

#include "kernels/activations/variants.h"
#include "kernels/q4_data.h"
#include "support/guarded.h"
#include "support/parity.h"

using namespace sutra;
using namespace sutra::kernels;
using namespace sutra::test;

namespace {

constexpr Precision kPrecisions[] = {Precision::kA15, Precision::kA8, Precision::kA14};

// Every field of one token against the definitions in the header; empty when all agree.
std::string check_token(const Activations& x, size_t token, std::span<const float> values) {
  constexpr size_t kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
  const bool a15 = x.precision == Precision::kA15, a14 = x.precision == Precision::kA14;
  for (size_t group = 0; group < x.n_groups(); ++group) {
    const size_t first = group * x.group_size;
    const size_t n = std::min(x.group_size, x.n_cols - first);
    const float scale = expected_scale(values.subspan(first, n), x.precision);
    if (!same_bits(x.scales(token)[group], scale)) return concat("scale of group ", group);
    std::vector<int> integers = expected_integers(values.subspan(first, n), scale);
    integers.resize(round_up(n, 8), 0);
    int sum = 0;
    for (size_t k = 0; k < integers.size(); ++k) {
      const size_t block = (first + k) / 8 * 8;
      const size_t column = k % 8;
      sum += integers[k];
      const size_t place = a14 ? column : static_cast<size_t>(std::find(kOrder, kOrder + 8, column) - kOrder);
      if (x.pairs(token)[block + place] != integers[k]) {
        return concat("pair of column ", first + k);
      }
      const int8_t* bytes = x.bytes(token) + block * (a15 || a14 ? 2 : 1);
      if (!a15 && !a14 && bytes[column] != integers[k]) return concat("byte of column ", first + k);
      if (a15 && (bytes[column] * 128 + bytes[8 + column] != integers[k] || bytes[column] < -127 ||
                  bytes[8 + column] < -64 || bytes[8 + column] > 63)) {
        return concat("high and low byte of column ", first + k);
      }
      if (a14 && (bytes[column] * 128 + bytes[8 + column] != integers[k] + 8192 || bytes[column] < 0 ||
                  bytes[8 + column] < 0)) {
        return concat("high and low byte of column ", first + k);
      }
    }
    if (x.sums(token)[group] != sum) return concat("sum of group ", group);
  }
  return {};
}

}  // namespace

TEST_CASE("every activation quantiser follows the definition, on every tail, and writes nothing else") {
  constexpr uint64_t seed = 201;
  CAPTURE(seed);
  Random random(seed);
  for (const Precision precision : kPrecisions) {
    for (const size_t group_size : {32u, 64u, 128u}) {
      for (size_t n_cols = 1; n_cols <= 300; n_cols += n_cols < 70 ? 1 : 23) {
        const std::vector<float> values = random.normals(n_cols, std::exp2(random.uniform(-20.0f, 20.0f)));
        Guarded<float> x(n_cols, n_cols % 4);
        std::copy(values.begin(), values.end(), x.data());
        Activations one{nullptr, 1, n_cols, group_size, precision};
        Guarded<std::byte> buffer(one.token_bytes());
        one.data = buffer.data();
        for_each_available(kQuantizeActivationsVariants, [&](const auto& variant) {
          CAPTURE(variant.name, group_size, n_cols, static_cast<int>(precision));
          buffer.poison();
          variant.fn(x.data(), one, 0);
          CHECK(check_token(one, 0, values) == "");
          CHECK(buffer.intact());
        });
      }
    }
  }
}

TEST_CASE("activations that fall between two integers go to the even one") {
  // The first column fixes the scale at exactly 1.
  for (const Precision precision : kPrecisions) {
    std::vector<float> values(40, 0.0f);
    values[0] = activation_levels(precision);
    for (size_t k = 1; k < values.size(); ++k) values[k] = (static_cast<float>(k) - 20.0f) + 0.5f;
    for_each_available(kQuantizeActivationsVariants, [&](const auto& variant) {
      CAPTURE(variant.name);
      const QuantizedTokens tokens = make_tokens(1, 40, 64, precision);
      variant.fn(values.data(), tokens.x, 0);
      CHECK(tokens.x.scales(0)[0] == 1.0f);
      // Columns 1, 2, 3 hold −18.5, −17.5, −16.5; they are at positions 4, 1, 5 of the pairs, in A14 at their own.
      const bool a14 = precision == Precision::kA14;
      CHECK(tokens.x.pairs(0)[a14 ? 1 : 4] == -18);
      CHECK(tokens.x.pairs(0)[a14 ? 2 : 1] == -18);
      CHECK(tokens.x.pairs(0)[a14 ? 3 : 5] == -16);
      CHECK(check_token(tokens.x, 0, values) == "");
    });
  }
}

TEST_CASE("special activations have the results the header promises, on every variant") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const Precision precision : kPrecisions) {
    for (const float special :
         {kInfinity, -kInfinity, kNan, -kNan, kTiny, -kTiny, 1e-39f, 2e-38f, 1.91e-34f, kLargest, -kLargest, -0.0f}) {
      for (const size_t place : {0u, 5u, 8u, 37u, 40u, 44u}) {
        std::vector<float> values(45, 0.0f);
        values[1] = std::abs(special) > 1.0f ? 1.0f : 0.0f;
        values[place] = special;
        for_each_available(kQuantizeActivationsVariants, [&](const auto& variant) {
          CAPTURE(variant.name, special, place);
          const QuantizedTokens tokens = make_tokens(1, values.size(), 32, precision);
          variant.fn(values.data(), tokens.x, 0);
          CHECK(check_token(tokens.x, 0, values) == "");
        });
      }
    }
  }
}

TEST_CASE("activation quantisers give the same bytes, padding included up to the last column block") {
  constexpr uint64_t seed = 202;
  CAPTURE(seed);
  Random random(seed);
  const std::vector<float> values = random.normals(3 * 1000);
  for (const Precision precision : kPrecisions) {
    const QuantizedTokens reference = make_tokens(3, 1000, 128, precision);
    for (size_t t = 0; t < 3; ++t) scalar::quantize_activations(values.data() + t * 1000, reference.x, t);
    for_each_available(kQuantizeActivationsVariants, [&](const auto& variant) {
      CAPTURE(variant.name);
      const QuantizedTokens tokens = make_tokens(3, 1000, 128, precision);
      for (size_t t = 0; t < 3; ++t) variant.fn(values.data() + t * 1000, tokens.x, t);
      CHECK(std::memcmp(tokens.buffer.data(), reference.buffer.data(), tokens.buffer.size()) == 0);
    });
  }
}
