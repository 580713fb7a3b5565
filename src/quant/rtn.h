// Round to nearest: asymmetric, one scale and zero point for each row and group. In b bits, m = 2^b - 1:
//
//   scale = max(max - min, 1e-5) / m,   zero = clamp(round(-min / scale), 0, m)
//   q = clamp(round(w / scale) + zero, 0, m),   w' = (q - zero) * scale in binary16
//
// 8 bits are symmetric, as the kernels' are: scale = max(max |w|, 1e-5) / 127 in binary16, zero = 128.
//
// Rounding is half to even; the integers are chosen with the float32 scale, as AutoAWQ does. Source: Lin et al. 2023,
// "AWQ", arXiv:2306.00978, section 2; AutoAWQ's pseudo_quantize_tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "quant/awq_format.h"

namespace sutra {

enum class RtnRange : uint8_t {
  kWithZero,  // min <= 0 <= max is forced, so that a group of one sign does not clip
  kAsIs,      // AutoAWQ's: the group's own min and max
};

// weights [n_out, n_in], finite. limits: empty, or [n_out, G] magnitudes that ranges are cut at (awq_search.h). Without a
// pool in this thread.
Q4Integers quantize_rtn(std::span<const float> weights, size_t n_out, size_t n_in, const RoundingFormat& format,
                        std::span<const float> limits = {}, ThreadPool* pool = nullptr,
                        RtnRange range = RtnRange::kWithZero);

// Its scales and zeros, for who rounds otherwise: all numbers are 0.
Q4Integers rtn_grid(std::span<const float> weights, size_t n_out, size_t n_in, const RoundingFormat& format,
                    std::span<const float> limits, ThreadPool& pool);

}  // namespace sutra
