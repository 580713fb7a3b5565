// Round to nearest in 4 bits: asymmetric, one scale and zero point for each row and group.
//
//   scale = max(max - min, 1e-5) / 15,   zero = clamp(round(-min / scale), 0, 15)
//   q = clamp(round(w / scale) + zero, 0, 15),   w' = (q - zero) * scale in binary16
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
Q4Integers quantize_rtn(std::span<const float> weights, size_t n_out, size_t n_in, size_t group_size,
                        RtnRange range = RtnRange::kWithZero, std::span<const float> limits = {},
                        ThreadPool* pool = nullptr);

}  // namespace sutra
