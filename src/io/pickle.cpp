#include "io/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

namespace sutra {
namespace {

using Id = Pickle::Id;
using Kind = Pickle::Kind;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";

// The opcodes of pickletools that are read.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloatText = 'F',
  kIntText = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLongText = 'L',
  kBinInt2 = 'M',
  kNoneValue = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kAppends = 'e',
  kGet = 'g',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kPut = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kBinFloat = 'G',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kEmptyDict = '}',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

std::unexpected<Error> broken(std::string_view what) { return fail(ErrorCode::kMalformed, "the pickle ", what); }

}  // namespace

// The stack machine; every member function is one group of opcodes.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, std::span<const std::string_view> allowed)
      : bytes_(bytes), allowed_(allowed) {}

  Result<Pickle> run() {
    for (size_t n = 0; n < kMaxPickleOpcodes; ++n) {
      SUTRA_ASSIGN(const uint64_t opcode, number(1));
      if (opcode == kStop) {
        SUTRA_ASSIGN(out_.root_, pop());
        out_.n_bytes_ = at_;
        return std::move(out_);
      }
      SUTRA_TRY(step(static_cast<uint8_t>(opcode)));
    }
    return fail(ErrorCode::kTooLarge, "the pickle has more than ", kMaxPickleOpcodes, " opcodes");
  }

 private:
  Status step(uint8_t opcode) {
    switch (opcode) {
      case kProto: return protocol();
      case kFrame: return skip(8);
      case kMark: return mark();
      case kPop: return drop(pop());
      case kPopMark: return drop(pop_to_mark());
      case kDup: return duplicate();

      case kNoneValue: return push(Kind::kNone, 0);
      case kNewTrue: return push(Kind::kBool, 1);
      case kNewFalse: return push(Kind::kBool, 0);
      case kBinInt: return push_int(4, true);
      case kBinInt1: return push_int(1, false);
      case kBinInt2: return push_int(2, false);
      case kIntText: return push_int_text();
      case kLong1: return push_long(1);
      case kLong4: return push_long(4);
      case kLongText: return push_long_text();
      case kBinFloat: return push_float();
      case kFloatText: return push_float_text();

      case kShortBinString:
      case kShortBinUnicode: return push_text(Kind::kText, 1);
      case kBinString:
      case kBinUnicode: return push_text(Kind::kText, 4);
      case kShortBinBytes: return push_text(Kind::kBytes, 1);
      case kBinBytes: return push_text(Kind::kBytes, 4);

      case kEmptyTuple: return push_container(Kind::kTuple, {});
      case kEmptyList: return push_container(Kind::kList, {});
      case kEmptyDict: return push_container(Kind::kDict, {});
      case kTuple1: return push_tuple(1);
      case kTuple2: return push_tuple(2);
      case kTuple3: return push_tuple(3);
      case kTuple: return push_marked(Kind::kTuple);
      case kList: return push_marked(Kind::kList);
      case kDict: return push_marked(Kind::kDict);
      case kAppend: return append(Kind::kList, 1);
      case kAppends: return append_marked(Kind::kList);
      case kSetItem: return append(Kind::kDict, 2);
      case kSetItems: return append_marked(Kind::kDict);

      case kPut: return put(text_index());
      case kBinPut: return put(number(1));
      case kLongBinPut: return put(number(4));
      case kMemoize: return put(uint64_t{memo_.size()});
      case kGet: return get(text_index());
      case kBinGet: return get(number(1));
      case kLongBinGet: return get(number(4));

      case kGlobal: return global();
      case kStackGlobal: return stack_global();
      case kReduce:
      case kNewObj: return call();
      case kBuild: return drop(pop());
      case kBinPersId: return persistent();
      default: return fail(ErrorCode::kUnsupported, "the pickle uses opcode ", int{opcode}, ", which is not read");
    }
  }

  // Bytes

  Result<std::span<const std::byte>> take(uint64_t n) {
    if (n > bytes_.size() - at_) return fail(ErrorCode::kTruncated, "the pickle ends in the middle of a value");
    const auto taken = bytes_.subspan(at_, static_cast<size_t>(n));
    at_ += taken.size();
    return taken;
  }
  // Little-endian.
  Result<uint64_t> number(size_t n_bytes) {
    SUTRA_ASSIGN(const auto taken, take(n_bytes));
    uint64_t value = 0;
    for (size_t i = taken.size(); i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(taken[i]);
    return value;
  }
  Status skip(uint64_t n) {
    SUTRA_TRY(take(n));
    return {};
  }
  // Up to the next line feed, which is read too.
  Result<std::string_view> line() {
    const auto rest = bytes_.subspan(at_);
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    const size_t n = text.substr(0, kMaxPickleTextBytes).find('\n');
    if (n != std::string_view::npos) {
      at_ += n + 1;
      return text.substr(0, n);
    }
    if (text.size() < kMaxPickleTextBytes)
      return fail(ErrorCode::kTruncated, "the pickle ends in the middle of a line");
    return fail(ErrorCode::kTooLarge, "the pickle has a line of more than ", kMaxPickleTextBytes, " bytes");
  }
  template <class T>
  Result<T> parsed(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      return fail(ErrorCode::kMalformed, "the pickle has \"", printable(text), "\" where a number must be");
    }
    return value;
  }
  Result<uint64_t> text_index() {
    SUTRA_ASSIGN(const std::string_view text, line());
    return parsed<uint64_t>(text);
  }

  // The stack

  Status push(Id id) {
    stack_.push_back(id);
    return {};
  }
  Id add(Kind kind, uint64_t bits) {
    out_.values_.push_back({kind, bits});
    return static_cast<Id>(out_.values_.size() - 1);
  }
  Id add_container(Kind kind, std::vector<Id> items) {
    out_.containers_.push_back(std::move(items));
    return add(kind, out_.containers_.size() - 1);
  }
  Id add_text(Kind kind, std::string_view text) {
    const uint64_t at = out_.texts_.size();
    out_.texts_ += text;
    return add(kind, at << 32 | text.size());
  }
  Status push(Kind kind, uint64_t bits) { return push(add(kind, bits)); }
  Status push_container(Kind kind, std::vector<Id> items) { return push(add_container(kind, std::move(items))); }

  // A value above the last mark.
  Result<Id> pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return broken("takes a value from an empty stack");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Result<std::vector<Id>> pop_to_mark() {
    if (marks_.empty()) return broken("looks for a mark that is not there");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  Result<Id> top() {
    SUTRA_ASSIGN(const Id id, pop());
    stack_.push_back(id);
    return id;
  }
  template <class T>
  Status drop(const Result<T>& dropped) {
    if (!dropped) return std::unexpected(dropped.error());
    return {};
  }

  Status protocol() {
    SUTRA_ASSIGN(const uint64_t version, number(1));
    if (version > 5) return fail(ErrorCode::kUnsupported, "the pickle has protocol ", version, "; 0 to 5 are read");
    return {};
  }
  Status mark() {
    if (marks_.size() == kMaxPickleDepth) {
      return fail(ErrorCode::kTooLarge, "the pickle nests deeper than ", kMaxPickleDepth, " levels");
    }
    marks_.push_back(stack_.size());
    return {};
  }
  Status duplicate() {
    SUTRA_ASSIGN(const Id id, top());
    return push(id);
  }

  // Numbers

  Status push_int(size_t n_bytes, bool is_signed) {
    SUTRA_ASSIGN(const uint64_t value, number(n_bytes));
    const auto sign_extended = static_cast<int64_t>(static_cast<int32_t>(static_cast<uint32_t>(value)));
    return push(Kind::kInt, is_signed ? static_cast<uint64_t>(sign_extended) : value);
  }
  // Protocol 0 and 1 write booleans as the integers 00 and 01.
  Status push_int_text() {
    SUTRA_ASSIGN(const std::string_view text, line());
    if (text == "00" || text == "01") return push(Kind::kBool, text == "01" ? 1 : 0);
    SUTRA_ASSIGN(const int64_t value, parsed<int64_t>(text));
    return push(Kind::kInt, static_cast<uint64_t>(value));
  }
  Status push_long(size_t n_length_bytes) {
    SUTRA_ASSIGN(const uint64_t n, number(n_length_bytes));
    if (n > kMaxPickleTextBytes) {
      return fail(ErrorCode::kTooLarge, "the pickle has an integer of ", n, " bytes");
    }
    SUTRA_ASSIGN(const auto digits, take(n));
    return push(add_long(digits));
  }
  // Two's complement, little-endian, in as many bytes as it needs.
  Id add_long(std::span<const std::byte> digits) {
    if (digits.size() > sizeof(int64_t)) {
      return add_text(Kind::kLong, {reinterpret_cast<const char*>(digits.data()), digits.size()});
    }
    const bool negative = !digits.empty() && (digits.back() & std::byte{0x80}) != std::byte{0};
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(digits[i]);
    return add(Kind::kInt, value);
  }
  // Decimal with an L at its end. Torch's legacy files begin with one that needs more than 64 bits.
  Status push_long_text() {
    SUTRA_ASSIGN(std::string_view text, line());
    if (text.ends_with('L')) text.remove_suffix(1);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) {
      return push(Kind::kInt, static_cast<uint64_t>(value));
    }
    std::array<uint8_t, 16> digits{};  // base 256, little-endian
    for (const char c : text) {
      if (c < '0' || c > '9') return broken("has an integer that is no number");
      unsigned carry = static_cast<unsigned>(c - '0');
      for (uint8_t& digit : digits) {
        carry += digit * 10u;
        digit = static_cast<uint8_t>(carry);
        carry >>= 8;
      }
      if (carry != 0) return fail(ErrorCode::kTooLarge, "the pickle has an integer of more than 128 bits");
    }
    auto n = static_cast<size_t>(
        std::find_if(digits.rbegin(), digits.rend(), [](uint8_t digit) { return digit != 0; }).base() - digits.begin());
    if (n < digits.size() && n > 0 && digits[n - 1] >= 0x80) ++n;  // the sign's bit is clear
    return push(add_long(std::as_bytes(std::span(digits).first(n))));
  }
  // Big-endian, alone among the opcodes.
  Status push_float() {
    SUTRA_ASSIGN(const auto taken, take(8));
    uint64_t bits = 0;
    for (const std::byte b : taken) bits = bits << 8 | std::to_integer<uint64_t>(b);
    return push(Kind::kFloat, bits);
  }
  Status push_float_text() {
    SUTRA_ASSIGN(const std::string_view text, line());
    SUTRA_ASSIGN(const double value, parsed<double>(text));
    return push(Kind::kFloat, std::bit_cast<uint64_t>(value));
  }

  // Texts and containers

  Status push_text(Kind kind, size_t n_length_bytes) {
    SUTRA_ASSIGN(const uint64_t n, number(n_length_bytes));
    if (n > kMaxPickleTextBytes) return fail(ErrorCode::kTooLarge, "the pickle has a text of ", n, " bytes");
    SUTRA_ASSIGN(const auto text, take(n));
    return push(add_text(kind, {reinterpret_cast<const char*>(text.data()), text.size()}));
  }
  Status push_tuple(size_t n) {
    std::vector<Id> items(n);
    for (size_t i = n; i-- > 0;) {
      SUTRA_ASSIGN(items[i], pop());
    }
    return push_container(Kind::kTuple, std::move(items));
  }
  Status push_marked(Kind kind) {
    SUTRA_ASSIGN(std::vector<Id> items, pop_to_mark());
    if (kind == Kind::kDict && items.size() % 2 != 0) return broken("has a key without a value");
    return push_container(kind, std::move(items));
  }
  Status extend(Kind kind, std::span<const Id> items) {
    SUTRA_ASSIGN(const Id id, top());
    if (out_.kind(id) != kind) return broken("adds items to what holds none");
    if (kind == Kind::kDict && items.size() % 2 != 0) return broken("has a key without a value");
    std::vector<Id>& held = out_.containers_[static_cast<size_t>(out_.values_[id].bits)];
    held.insert(held.end(), items.begin(), items.end());
    return {};
  }
  Status append(Kind kind, size_t n) {
    std::array<Id, 2> items{};
    for (size_t i = n; i-- > 0;) {
      SUTRA_ASSIGN(items[i], pop());
    }
    return extend(kind, std::span(items).first(n));
  }
  Status append_marked(Kind kind) {
    SUTRA_ASSIGN(const std::vector<Id> items, pop_to_mark());
    return extend(kind, items);
  }

  // The memo

  Status put(const Result<uint64_t>& index) {
    if (!index) return std::unexpected(index.error());
    if (*index >= kMaxPickleMemo) return fail(ErrorCode::kTooLarge, "the pickle remembers a value at ", *index);
    SUTRA_ASSIGN(const Id id, top());
    if (*index >= memo_.size()) memo_.resize(static_cast<size_t>(*index) + 1);
    memo_[static_cast<size_t>(*index)] = id;
    return {};
  }
  Status get(const Result<uint64_t>& index) {
    if (!index) return std::unexpected(index.error());
    if (*index >= memo_.size() || !memo_[static_cast<size_t>(*index)]) {
      return broken("asks for a value that it did not remember");
    }
    return push(*memo_[static_cast<size_t>(*index)]);
  }

  // Names and calls

  Status push_name(std::string_view module, std::string_view name) {
    const std::string full = concat(module, '.', name);
    if (full != kOrderedDict && std::ranges::find(allowed_, std::string_view(full)) == allowed_.end()) {
      return fail(ErrorCode::kUnsupported, "the pickle wants Python's ", printable(full),
                  ", which no file of weights needs; nothing of it was run");
    }
    return push(add_text(Kind::kName, full));
  }
  Status global() {
    SUTRA_ASSIGN(const std::string_view module, line());
    SUTRA_ASSIGN(const std::string_view name, line());
    return push_name(module, name);
  }
  Status stack_global() {
    SUTRA_ASSIGN(const Id name, pop());
    SUTRA_ASSIGN(const Id module, pop());
    if (out_.kind(name) != Kind::kText || out_.kind(module) != Kind::kText) return broken("has a name that is no text");
    // Copies: adding a text may move the others.
    return push_name(std::string(out_.text(module)), std::string(out_.text(name)));
  }
  Status call() {
    SUTRA_ASSIGN(const Id arguments, pop());
    SUTRA_ASSIGN(const Id callee, pop());
    if (out_.kind(callee) != Kind::kName || out_.kind(arguments) != Kind::kTuple) {
      return fail(ErrorCode::kUnsupported, "the pickle calls what is no plain name; nothing was run");
    }
    if (out_.text(callee) == kOrderedDict) return ordered_dict(arguments);
    return push_container(Kind::kCall, {callee, arguments});
  }
  // OrderedDict(), or OrderedDict([[key, value], …]) as protocol 0 and 1 have it.
  Status ordered_dict(Id arguments) {
    std::vector<Id> items;
    if (!out_.items(arguments).empty()) {
      const Id pairs = out_.items(arguments).front();
      if (out_.kind(pairs) != Kind::kList) return broken("makes an OrderedDict of what is no list");
      for (const Id pair : out_.items(pairs)) {
        const Kind kind = out_.kind(pair);
        if ((kind != Kind::kList && kind != Kind::kTuple) || out_.items(pair).size() != 2) {
          return broken("makes an OrderedDict of what is no list of pairs");
        }
        items.insert(items.end(), out_.items(pair).begin(), out_.items(pair).end());
      }
    }
    // A long list, made an OrderedDict of again and again, would fill the memory.
    n_copied_ += items.size();
    if (n_copied_ > 2 * kMaxPickleOpcodes) return fail(ErrorCode::kTooLarge, "the pickle copies too many items");
    return push_container(Kind::kDict, std::move(items));
  }
  Status persistent() {
    SUTRA_ASSIGN(const Id id, pop());
    return push_container(Kind::kPersistent, {id});
  }

  std::span<const std::byte> bytes_;
  std::span<const std::string_view> allowed_;
  size_t at_ = 0;
  Pickle out_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::vector<std::optional<Id>> memo_;
  size_t n_copied_ = 0;
};

Result<Pickle> Pickle::parse(std::span<const std::byte> bytes, std::span<const std::string_view> allowed) {
  if (bytes.size() > kMaxPickleBytes) return fail(ErrorCode::kTooLarge, "the pickle has ", bytes.size(), " bytes");
  return PickleMachine(bytes, allowed).run();
}

double Pickle::number(Id id) const { return std::bit_cast<double>(values_[id].bits); }

std::string_view Pickle::text(Id id) const {
  const uint64_t bits = values_[id].bits;
  return std::string_view(texts_).substr(static_cast<size_t>(bits >> 32), static_cast<size_t>(bits & 0xffffffffu));
}

}  // namespace sutra
