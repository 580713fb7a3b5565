// Unicode normalization form C, with the source of every character.
// Source: Unicode Standard Annex 15; Unicode 15.0, section 3.11 and section 3.12 (Hangul).
#pragma once

#include <optional>
#include <string_view>

#include "text/alignment.h"

namespace sutra::text {

// nullopt: the text is in form C as it is. Precondition: well-formed UTF-8.
// Alignment as in Hugging Face tokenizers: a character composed of several reports the first of them, one
// that was split off reports the character before it.
std::optional<Rewritten> to_nfc(std::string_view text);

}  // namespace sutra::text
