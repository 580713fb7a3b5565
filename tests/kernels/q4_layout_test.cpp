#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <limits>

#include "kernels/q4_data.h"
#include "support/guarded.h"
#include "support/parity.h"

using namespace sutra;
using namespace sutra::kernels;
using namespace sutra::test;

TEST_CASE("a packed 4-bit matrix gives back every weight as (q - zero) * scale") {
  constexpr uint64_t seed = 101;
  CAPTURE(seed);
  Random random(seed);
  for (const size_t group_size : {32u, 64u, 128u}) {
    for (const size_t n_cols : {1u, 7u, 8u, 9u, 31u, 32u, 33u, 128u, 129u, 200u, 300u}) {
      for (const size_t n_rows : {1u, 15u, 16u, 17u, 40u}) {
        CAPTURE(group_size, n_cols, n_rows);
        const Q4Matrix m = random_q4(random, n_rows, n_cols, group_size);
        Guarded<float> row(n_cols, 1);
        for (size_t n = 0; n < n_rows; ++n) {
          row.poison();
          unpack_row_q4(m.view(), n, row.data());
          for (size_t k = 0; k < n_cols; ++k) {
            const size_t group = n * m.n_groups() + k / group_size;
            const float expected =
                static_cast<float>(m.nibbles[n * n_cols + k] - m.zeros[group]) * f16_to_f32(m.scales[group]);
            REQUIRE(same_bits(row[k], expected));
          }
          REQUIRE(row.intact());
        }
      }
    }
  }
}

TEST_CASE("a packed 4-bit matrix with offsets gives back every weight as q * scale + offset") {
  constexpr uint64_t seed = 103;
  CAPTURE(seed);
  Random random(seed);
  for (const size_t n_cols : {1u, 33u, 128u, 300u}) {
    for (const size_t n_rows : {1u, 16u, 40u}) {
      CAPTURE(n_cols, n_rows);
      const Q4Matrix m = random_q4_with_offsets(random, n_rows, n_cols, 32);
      std::vector<float> row(n_cols);
      for (size_t n = 0; n < n_rows; ++n) {
        unpack_row_q4(m.view(), n, row.data());
        for (size_t k = 0; k < n_cols; ++k) {
          const size_t group = n * m.n_groups() + k / 32;
          const float product = static_cast<float>(m.nibbles[n * n_cols + k]) * f16_to_f32(m.scales[group]);
          REQUIRE(same_bits(row[k], product + f16_to_f32(m.offsets[group])));
        }
      }
    }
  }
}

TEST_CASE("the packed bytes lie where the layout's description puts them") {
  // 16 rows, 8 columns, one group: q = (row + column) mod 16.
  Q4Matrix m{16, 8, 32, {}, {}, {}, {}, {}};
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned column = 0; column < 8; ++column) m.nibbles.push_back(static_cast<uint8_t>((row + column) % 16));
    m.zeros.push_back(static_cast<uint8_t>(row));
    m.scales.push_back(static_cast<uint16_t>(0x3c00 + row));
  }
  repack(m);
  REQUIRE(m.packed.size() == 64 + 32 + 16);
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned j = 0; j < 4; ++j) {
      const auto byte = static_cast<unsigned>(m.packed.data()[row / 4 * 16 + row % 4 * 4 + j]);
      CHECK((byte & 15) == (row + j) % 16);
      CHECK((byte >> 4) == (row + j + 4) % 16);
    }
    uint16_t scale = 0;
    std::memcpy(&scale, m.packed.data() + 64 + row * 2, 2);
    CHECK(scale == 0x3c00 + row);
    CHECK(static_cast<unsigned>(m.packed.data()[96 + row]) == row);
  }
}

TEST_CASE("a 4-bit matrix packed in slices of 16 rows has the same bytes as one packed at once") {
  Random random(102);
  const Q4Matrix whole = random_q4(random, 40, 200, 64);
  std::vector<std::byte> slices;
  for (size_t row = 0; row < 40; row += 16) {
    const size_t n_rows = std::min<size_t>(16, 40 - row);
    std::vector<std::byte> slice(static_cast<size_t>(q4_packed_bytes(n_rows, 200, 64).value()));
    const Q4Parts parts{{whole.nibbles.data() + row * 200, n_rows * 200},
                        {whole.zeros.data() + row * 4, n_rows * 4},
                        {whole.scales.data() + row * 4, n_rows * 4}};
    REQUIRE(pack_q4(parts, n_rows, 200, 64, slice));
    slices.insert(slices.end(), slice.begin(), slice.end());
  }
  REQUIRE(slices.size() == whole.packed.size());
  CHECK(std::memcmp(slices.data(), whole.packed.data(), slices.size()) == 0);
}

TEST_CASE("the size of a 4-bit matrix that does not fit the address space is an error") {
  const uint64_t huge = std::numeric_limits<uint64_t>::max();
  CHECK(q4_packed_bytes(huge, huge, 128).error().code == ErrorCode::kTooLarge);
  CHECK(q4_packed_bytes(1, huge, 128).error().code == ErrorCode::kTooLarge);
  CHECK(q4_packed_bytes(huge, 1, 32).error().code == ErrorCode::kTooLarge);
  CHECK(q4_packed_bytes(uint64_t{1} << 33, uint64_t{1} << 33, 32).error().code == ErrorCode::kTooLarge);
  CHECK(activation_bytes(huge, 64, 32, Precision::kA8).error().code == ErrorCode::kTooLarge);
  CHECK(activation_bytes(1, huge, 32, Precision::kA15).error().code == ErrorCode::kTooLarge);
}

TEST_CASE("an empty 4-bit matrix or an unknown group size is an error") {
  CHECK(q4_packed_bytes(0, 8, 32).error().code == ErrorCode::kInvalidArgument);
  CHECK(q4_packed_bytes(8, 0, 32).error().code == ErrorCode::kInvalidArgument);
  for (const uint64_t group_size : {0u, 8u, 48u, 256u}) {
    CHECK(q4_packed_bytes(16, 256, group_size).error().code == ErrorCode::kInvalidArgument);
    CHECK(activation_bytes(1, 256, group_size, Precision::kA8).error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("a NaN or infinite 4-bit scale or offset is refused, and the message names its place") {
  const std::vector<uint8_t> nibbles(3 * 64, 1);
  const std::vector<uint8_t> zeros(3 * 2, 0);
  const std::vector<uint16_t> good(3 * 2, 0x3c00);
  for (const uint16_t half : {uint16_t{0x7c00}, uint16_t{0xfc00}, uint16_t{0x7e01}}) {
    std::vector<uint16_t> bad = good;
    bad[2 * 2 + 1] = half;
    for (const Q4Parts& parts : {Q4Parts{nibbles, zeros, bad}, Q4Parts{nibbles, {}, good, bad}}) {
      std::vector<std::byte> out(static_cast<size_t>(q4_packed_bytes(3, 64, 32, parts.form()).value()));
      const Status status = pack_q4(parts, 3, 64, 32, out);
      REQUIRE_FALSE(status);
      CHECK(status.error().code == ErrorCode::kNonFinite);
      CHECK(status.error().message ==
            concat("4-bit ", parts.offsets.empty() ? "scale" : "offset", " of row 2, group 1 is NaN or infinite"));
    }
  }
}
