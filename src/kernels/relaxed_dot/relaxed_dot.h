// What relaxed SIMD's dot product of bytes is made of here.
#pragma once

namespace sutra::kernels::relaxed {

// True where i32x4.relaxed_dot_i8x16_i7x16_add adds pairs of products in 16 bits and saturates, which shows in weights
// above 127. That is x86 without VNNI, where the product with a 32-bit sum takes three instructions, and others are
// faster (bench/SPEED.md). Exists in builds with the relaxed variants only.
bool dot_saturates();

}  // namespace sutra::kernels::relaxed
