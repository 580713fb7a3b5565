#include "text/longest_match.h"

#include <algorithm>

namespace sutra::text {

LongestMatch::LongestMatch(std::span<const Token> tokens) {
  // Level by level: a node stands for the tokens [first, last), which share their first `depth` bytes.
  struct Range {
    uint32_t first, last, depth;
  };
  std::vector<Range> ranges = {{0, static_cast<uint32_t>(tokens.size()), 0}};
  nodes_.emplace_back();
  for (size_t at = 0; at < ranges.size(); ++at) {
    const Range range = ranges[at];
    uint32_t i = range.first;
    // The shorter one comes first.
    if (i < range.last && tokens[i].bytes.size() == range.depth) nodes_[at].id = tokens[i++].id;
    nodes_[at].first_child = static_cast<uint32_t>(nodes_.size());
    while (i < range.last) {
      const char byte = tokens[i].bytes[range.depth];
      const uint32_t first = i;
      while (i < range.last && tokens[i].bytes[range.depth] == byte) ++i;
      ranges.push_back({first, i, range.depth + 1});
      nodes_.push_back({0, 0, static_cast<uint8_t>(byte), -1});
      ++nodes_[at].n_children;
    }
  }
}

const LongestMatch::Node* LongestMatch::child(const Node& node, uint8_t byte) const {
  const auto children = std::span(nodes_).subspan(node.first_child, node.n_children);
  const auto found = std::ranges::lower_bound(children, byte, {}, &Node::byte);
  return found != children.end() && found->byte == byte ? &*found : nullptr;
}

Encoding LongestMatch::encode(std::string_view bytes) const {
  Encoding out;
  out.ids.reserve(bytes.size() / 4);
  out.offsets.reserve(bytes.size() / 4);
  for (size_t begin = 0; begin < bytes.size();) {
    const Node* node = nodes_.data();
    int32_t id = -1;
    size_t end = begin + 1;
    for (size_t at = begin; at < bytes.size(); ++at) {
      node = child(*node, static_cast<uint8_t>(bytes[at]));
      if (node == nullptr) break;
      if (node->id < 0) continue;
      id = node->id;
      end = at + 1;
    }
    if (id >= 0) {
      out.ids.push_back(id);
      out.offsets.push_back({begin, end});
    }
    begin = end;
  }
  return out;
}

}  // namespace sutra::text
