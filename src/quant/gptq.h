// Rounding that makes up for itself: each column's error is taken off the columns after it, so that the error of the
// output is least. Frantar et al. 2022, "GPTQ", arXiv:2210.17323, section 3, within blocks of 128 columns.
#pragma once

#include <span>

#include "base/thread_pool.h"
#include "quant/awq_format.h"
#include "quant/awq_search.h"

namespace sutra {

// As quantize_rtn(), whose scales and zeros it takes; the matrix has an input.
Q4Integers quantize_gptq(const CalibratedMatrix& matrix, const RoundingFormat& format, std::span<const float> limits,
                         ThreadPool& pool);

}  // namespace sutra
