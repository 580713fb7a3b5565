// What the modules have in common: one buffer for what comes in, one Reply for what goes out, hashing, and feeding a
// model's files to a loader. Bytes go in through the buffer: the caller asks sutra_input for room, copies, and names the
// size in the next call. Everything comes back as a Reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reply.h"
#include "runtime/engine.h"

namespace sutra::wasm {

Outbox& out();

// Of the call under way.
std::span<const std::byte> input(uint32_t size_bytes);
std::string_view input_text(uint32_t size_bytes);
std::vector<int32_t> input_ids(uint32_t size_bytes);
// Gives the buffer's memory back.
void drop_input();

// Texts one after the other, each behind its size as four bytes, least significant first.
std::vector<std::string> unpack_texts(std::span<const std::byte> bytes);

// Of the model whose files are being fed; each module begins and finishes it in its own way.
std::optional<ModelLoader>& loader();
const Reply* begin_loading(const LoadOptions& options);

}  // namespace sutra::wasm
