#include "io/torch_pickle.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/checked.h"

namespace sutra {
namespace {

using Id = Pickle::Id;
using Kind = Pickle::Kind;

// Values that are looked at. Shared values are met once for each way to them, which a small file could make very many.
constexpr size_t kMaxVisits = size_t{1} << 20;

struct NamedDtype {
  std::string_view name;
  std::optional<Dtype> dtype;  // nothing: the tensor says it (untyped storages)
};
constexpr NamedDtype kStorageTypes[] = {
    {"torch.DoubleStorage", Dtype::kF64},    {"torch.FloatStorage", Dtype::kF32}, {"torch.HalfStorage", Dtype::kF16},
    {"torch.BFloat16Storage", Dtype::kBF16}, {"torch.LongStorage", Dtype::kI64},  {"torch.IntStorage", Dtype::kI32},
    {"torch.ShortStorage", Dtype::kI16},     {"torch.CharStorage", Dtype::kI8},   {"torch.ByteStorage", Dtype::kU8},
    {"torch.BoolStorage", Dtype::kBool},     {"torch.UntypedStorage", {}},        {"torch.storage.UntypedStorage", {}},
};
constexpr NamedDtype kDtypes[] = {
    {"torch.float64", Dtype::kF64},   {"torch.float32", Dtype::kF32}, {"torch.float16", Dtype::kF16},
    {"torch.bfloat16", Dtype::kBF16}, {"torch.int64", Dtype::kI64},   {"torch.int32", Dtype::kI32},
    {"torch.int16", Dtype::kI16},     {"torch.int8", Dtype::kI8},     {"torch.uint64", Dtype::kU64},
    {"torch.uint32", Dtype::kU32},    {"torch.uint16", Dtype::kU16},  {"torch.uint8", Dtype::kU8},
    {"torch.bool", Dtype::kBool},
};
constexpr std::string_view kRebuild = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuild2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuild3 = "torch._utils._rebuild_tensor_v3";
constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kSize = "torch.Size";

const NamedDtype* find_named(std::span<const NamedDtype> list, std::string_view name) {
  const auto found = std::ranges::find(list, name, &NamedDtype::name);
  return found == list.end() ? nullptr : &*found;
}

std::unexpected<Error> broken(std::string_view what) { return fail(ErrorCode::kMalformed, "the pickle ", what); }

class Reader {
 public:
  explicit Reader(const Pickle& pickle) : pickle_(pickle) {}

  Result<TorchTensors> run() {
    SUTRA_TRY(visit(pickle_.root(), "", 0));
    return std::move(out_);
  }

 private:
  Status visit(Id id, const std::string& path, size_t depth) {
    if (depth > kMaxPickleDepth) {
      return fail(ErrorCode::kTooLarge, "the pickle nests deeper than ", kMaxPickleDepth, " levels");
    }
    if (++n_visits_ > kMaxVisits) return fail(ErrorCode::kTooLarge, "the pickle has more than ", kMaxVisits, " values");
    const Kind kind = pickle_.kind(id);
    if (kind == Kind::kCall) return visit_call(id, path, depth);
    if (kind != Kind::kDict && kind != Kind::kList && kind != Kind::kTuple) return {};
    const std::span<const Id> items = pickle_.items(id);
    if (kind == Kind::kDict) {
      for (size_t i = 0; i < items.size(); i += 2) SUTRA_TRY(visit(items[i + 1], join(path, key(items[i])), depth + 1));
    } else {
      for (size_t i = 0; i < items.size(); ++i) SUTRA_TRY(visit(items[i], join(path, concat(i)), depth + 1));
    }
    return {};
  }

  // Only tensors' names matter, so that keys of other kinds are named by their kind.
  std::string key(Id id) const {
    switch (pickle_.kind(id)) {
      case Kind::kText:
      case Kind::kBytes:
      case Kind::kName: return std::string(pickle_.text(id));
      case Kind::kInt: return concat(pickle_.integer(id));
      case Kind::kBool: return pickle_.boolean(id) ? "True" : "False";
      case Kind::kFloat: return concat(pickle_.number(id));
      case Kind::kNone: return "None";
      default: return "?";
    }
  }
  static std::string join(const std::string& path, const std::string& key) {
    return path.empty() ? key : concat(path, '.', key);
  }

  Status visit_call(Id id, const std::string& path, size_t depth) {
    const std::string_view name = pickle_.text(pickle_.items(id)[0]);
    const std::span<const Id> arguments = pickle_.items(pickle_.items(id)[1]);
    if (name == kParameter) {
      if (arguments.empty()) return broken("has a parameter without a tensor");
      return visit(arguments[0], path, depth + 1);
    }
    if (name == kRebuild || name == kRebuild2 || name == kRebuild3) return add_tensor(name, arguments, path);
    return {};  // torch.Size and dtypes as values of their own
  }

  Status add_tensor(std::string_view name, std::span<const Id> arguments, const std::string& path) {
    const auto wrong = [&](std::string_view what) {
      return broken(concat("has a tensor '", printable(path), "' ", what));
    };
    if (arguments.size() < (name == kRebuild3 ? 7u : 4u)) return wrong("with arguments missing");
    std::optional<Dtype> dtype;
    if (name == kRebuild3) {
      const NamedDtype* found =
          pickle_.kind(arguments[6]) == Kind::kName ? find_named(kDtypes, pickle_.text(arguments[6])) : nullptr;
      if (found == nullptr) return wrong("of no dtype");
      dtype = found->dtype;
    }
    TorchView view;
    SUTRA_ASSIGN(view.storage, storage_of(arguments[0], dtype, path));
    const TorchStorage& storage = out_.storages[view.storage];
    dtype = dtype.value_or(storage.dtype);
    SUTRA_ASSIGN(const auto offset, sizes({&arguments[1], 1}));
    SUTRA_ASSIGN(const auto dims, tuple_sizes(arguments[2]));
    SUTRA_ASSIGN(view.strides, tuple_sizes(arguments[3]));
    if (dims.size() != view.strides.size()) return wrong("with another number of strides than of dimensions");
    auto shape = Shape::from_dims(dims, ZeroDims::kAllow);
    if (!shape) return fail(shape.error().code, "tensor '", printable(path), "': ", shape.error().message);
    SUTRA_ASSIGN(const uint64_t n_bytes, tensor_bytes(*dtype, *shape));
    view.offset = offset.front();
    SUTRA_TRY(measure(*shape, view));
    const auto end = checked_add(view.offset, view.n_reached);
    if (!end || *end > storage.n_bytes / dtype_bytes(*dtype)) return wrong("that reaches out of its storage");
    if (!names_.insert(path).second) return wrong("twice");
    if (names_.size() > kMaxTensorsPerFile) {
      return fail(ErrorCode::kTooLarge, "the file has more than ", kMaxTensorsPerFile, " tensors");
    }
    out_.entries.push_back({path, *dtype, *shape, 0, n_bytes});
    out_.views.push_back(std::move(view));
    return {};
  }

  static Status measure(const Shape& shape, TorchView& view) {
    view.is_dense = true;
    uint64_t last = 0, dense_stride = 1;
    for (size_t i = shape.n_dims(); i-- > 0;) {
      if (shape[i] == 0) {
        view.n_reached = 0;
        view.is_dense = true;
        return {};
      }
      const auto step = checked_mul(shape[i] - 1, view.strides[i]);
      const auto sum = step ? checked_add(last, *step) : std::nullopt;
      if (!sum) return fail(ErrorCode::kTooLarge, "the pickle has strides beyond 64 bits");
      last = *sum;
      // The stride of a single element is never used.
      if (shape[i] > 1 && view.strides[i] != dense_stride) view.is_dense = false;
      dense_stride *= shape[i];
    }
    view.n_reached = last + 1;
    return {};
  }

  Result<std::vector<uint64_t>> sizes(std::span<const Id> ids) const {
    std::vector<uint64_t> values;
    for (const Id id : ids) {
      if (pickle_.kind(id) != Kind::kInt || pickle_.integer(id) < 0)
        return broken("has a size that is no whole number");
      values.push_back(static_cast<uint64_t>(pickle_.integer(id)));
    }
    return values;
  }
  // A tuple, or torch.Size of one.
  Result<std::vector<uint64_t>> tuple_sizes(Id id) const {
    if (pickle_.kind(id) == Kind::kCall && pickle_.text(pickle_.items(id)[0]) == kSize) {
      const std::span<const Id> arguments = pickle_.items(pickle_.items(id)[1]);
      if (arguments.size() != 1) return broken("has a torch.Size of no sizes");
      id = arguments.front();
    }
    if (pickle_.kind(id) != Kind::kTuple && pickle_.kind(id) != Kind::kList)
      return broken("has a shape that is no tuple");
    if (pickle_.items(id).size() > Shape::kMaxDims) return broken("has a tensor of more than 8 dimensions");
    return sizes(pickle_.items(id));
  }

  // ('storage', type, key, location, count of elements), in legacy files with a view of the storage behind it.
  Result<size_t> storage_of(Id id, std::optional<Dtype> tensor_dtype, const std::string& path) {
    const auto wrong = [&](std::string_view what) {
      return broken(concat("has a tensor '", printable(path), "' whose storage ", what));
    };
    if (pickle_.kind(id) != Kind::kPersistent) return wrong("is none");
    const Id tuple = pickle_.items(id).front();
    if (pickle_.kind(tuple) != Kind::kTuple || pickle_.items(tuple).size() < 5) return wrong("is none");
    const std::span<const Id> parts = pickle_.items(tuple);
    if (pickle_.kind(parts[0]) != Kind::kText || pickle_.text(parts[0]) != "storage" ||
        pickle_.kind(parts[1]) != Kind::kName || pickle_.kind(parts[2]) != Kind::kText) {
      return wrong("is none");
    }
    if (parts.size() > 5 && pickle_.kind(parts[5]) != Kind::kNone) {
      return fail(ErrorCode::kUnsupported, "tensor '", printable(path), "' is a view of a view of a storage");
    }
    const NamedDtype* type = find_named(kStorageTypes, pickle_.text(parts[1]));
    if (type == nullptr) return wrong("has no known type");
    // An untyped storage counts bytes.
    const Dtype dtype = type->dtype.value_or(Dtype::kU8);
    SUTRA_ASSIGN(const auto count, sizes(parts.subspan(4, 1)));
    const auto n_bytes = checked_mul(count.front(), dtype_bytes(dtype));
    if (!n_bytes) return wrong("is larger than 64 bits can count");
    if (!type->dtype && !tensor_dtype) return wrong("has no dtype");
    const std::string key(pickle_.text(parts[2]));
    const auto [found, is_new] = by_key_.try_emplace(key, out_.storages.size());
    if (is_new) out_.storages.push_back({key, dtype, *n_bytes});
    const TorchStorage& storage = out_.storages[found->second];
    if (storage.dtype != dtype || storage.n_bytes != *n_bytes) return wrong("is described twice, differently");
    return found->second;
  }

  const Pickle& pickle_;
  TorchTensors out_;
  std::map<std::string, size_t, std::less<>> by_key_;
  std::set<std::string, std::less<>> names_;
  size_t n_visits_ = 0;
};

}  // namespace

std::span<const std::string_view> torch_pickle_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names = {kRebuild, kRebuild2, kRebuild3, kParameter, kSize};
    for (const NamedDtype& named : kStorageTypes) names.push_back(named.name);
    for (const NamedDtype& named : kDtypes) names.push_back(named.name);
    return names;
  }();
  return kNames;
}

Result<TorchTensors> read_torch_tensors(const Pickle& pickle) { return Reader(pickle).run(); }

}  // namespace sutra
