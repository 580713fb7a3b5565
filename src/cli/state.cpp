#include <algorithm>

#include "cli/command.h"
#include "runtime/session.h"

namespace sutra::cli {
namespace {

constexpr uint64_t kMaxStateBytes = uint64_t{1} << 32;

struct Options {
  ModelOptions model;
  IdsOptions ids;
  std::vector<std::string> load;
  std::string save;
};

Status run(const Options& options) {
  SUTRA_ASSIGN(std::shared_ptr<const Engine> engine, options.model.load());
  SUTRA_ASSIGN(Session session, Session::create(engine));
  std::vector<Session> loaded;
  for (const std::string& path : options.load) {
    SUTRA_ASSIGN(const std::string bytes, read_text_file(path, kMaxStateBytes));
    SUTRA_TRY(session.load(std::as_bytes(std::span(bytes))));
    if (options.load.size() > 1) {
      SUTRA_ASSIGN(Session copy, session.clone());
      loaded.push_back(std::move(copy));
    }
  }
  if (!loaded.empty()) {
    SUTRA_ASSIGN(session, Session::mean(loaded));
  }
  if (!options.ids.ids.empty() || !options.ids.ids_file.empty()) {
    SUTRA_ASSIGN(const std::vector<int32_t> ids, options.ids.read());
    for (std::span<const int32_t> rest(ids); !rest.empty();) {
      SUTRA_ASSIGN(const size_t n, session.advance(rest));
      rest = rest.subspan(n);
    }
  }
  uint64_t saved_bytes = 0;
  if (!options.save.empty()) {
    SUTRA_ASSIGN(const std::vector<std::byte> bytes, session.save());
    SUTRA_TRY(write_file_atomically(options.save, bytes));
    saved_bytes = bytes.size();
  }
  Json json = {{"tokens", session.n_tokens()}, {"state_bytes", session.state().size_bytes()}};
  if (const uint64_t per_token = engine->info().state_bytes_per_token; per_token > 0) {
    json["state_bytes_per_token"] = per_token;
    json["max_tokens"] = engine->info().max_tokens;
  }
  if (!options.save.empty()) json["saved_bytes"] = saved_bytes;
  if (const auto logits = session.logits(); !logits.empty()) {
    json["next_id"] = std::ranges::max_element(logits) - logits.begin();
  }
  print_json(json);
  return {};
}

}  // namespace

Run add_state(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->model.add_to(app);
  options->ids.add_to(app);
  app.add_option("--load", options->load,
                 "state file to start from: saved here, or made by state tuning (.pth); of several the mean");
  app.add_option("--save", options->save, "state file to write after the ids");
  return [options]() -> Status {
    if (options->load.empty() && options->save.empty()) {
      return fail(ErrorCode::kInvalidArgument, "give --save FILE, --load FILE or both");
    }
    return run(*options);
  };
}

}  // namespace sutra::cli
