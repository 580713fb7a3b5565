// Whether relaxed SIMD's dot product of bytes is worth using here.
#pragma once

namespace sutra::kernels::relaxed {

// True where i32x4.relaxed_dot_i8x16_i7x16_add adds pairs of products in 16 bits and saturates, which shows in weights
// above 127. That is x86 without VNNI: the product is four instructions there, and 16-bit products are faster
// (bench/SPEED.md). Exists in builds with the relaxed variants only.
bool dot_saturates();

}  // namespace sutra::kernels::relaxed
