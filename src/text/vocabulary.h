// Token ids, their spellings and their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sutra::text {

class Vocabulary {
 public:
  // Ids 0 to n_ids - 1, none of them with a token yet.
  explicit Vocabulary(size_t n_ids = 0);

  // Later tokens do not move earlier ones. False: the id or the spelling has been given already.
  // Precondition: 0 <= id < n_ids; the spellings of all tokens fit 32 bits of size.
  [[nodiscard]] bool insert(int32_t id, std::string_view text);

  [[nodiscard]] size_t size() const { return tokens_.size(); }
  [[nodiscard]] bool has(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() && tokens_[static_cast<size_t>(id)].used;
  }
  // Empty where the id has no token.
  [[nodiscard]] std::string_view text(int32_t id) const;
  [[nodiscard]] std::string_view bytes(int32_t id) const;
  [[nodiscard]] std::optional<int32_t> find(std::string_view text) const;

 private:
  struct Token {
    uint32_t text_begin = 0;
    uint32_t text_size = 0;
    uint32_t bytes_begin = 0;
    uint32_t bytes_size = 0;
    bool used = false;
  };
  // The slot of the spelling, or the free one where it belongs.
  [[nodiscard]] size_t slot(std::string_view text) const;

  std::string texts_;
  std::string bytes_;
  std::vector<Token> tokens_;   // by id
  std::vector<int32_t> slots_;  // open addressing by spelling; kFree or an id
};

}  // namespace sutra::text
