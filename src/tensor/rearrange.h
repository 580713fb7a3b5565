// Copies of tensors whose elements are in another order: for files that have what another program's layout wants.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "tensor/tensor.h"

namespace sutra {

// The last two dimensions exchanged: [..., m, n] to [..., n, m]. Preconditions: two dimensions or more; no blocks.
Result<Tensor> transpose(const TensorView& source);

// Rows are what one index of the first dimension leaves: [n, ...] to [rows.size(), ...]. Preconditions: one dimension or
// more, of blocks two; every row is below n.
Result<Tensor> gather_rows(const TensorView& source, std::span<const uint64_t> rows);

// Of the equal parts of `shape` that a tensor consists of, one behind the other, the one at `index`. Precondition: it is
// in there.
Result<Tensor> part_of(const TensorView& source, size_t index, const Shape& shape);

// The rows of `first`, then those of `second`. kShapeMismatch, kDtypeMismatch when they differ in anything but their
// number. Precondition: one dimension or more.
Result<Tensor> stack_rows(const TensorView& first, const TensorView& second);

}  // namespace sutra
