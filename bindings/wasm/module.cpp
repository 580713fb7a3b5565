// The engine as plain exported functions. bindings/js/heap.ts is their only caller and repeats their signatures.
// A module holds one model; a page that wants two starts two. What does not need the model: shared.cpp.
#include <emscripten.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/generation.h"
#include "runtime/perplexity.h"
#include "runtime/session.h"
#include "shared.h"
#include "slots.h"

namespace sutra::wasm {
namespace {

struct Instance {
  std::shared_ptr<const Engine> engine;
  std::optional<text::Tokenizer> tokenizer;  // without a model
  Slots<Session> sessions;
  Slots<Generation> generations;
  Slots<PerplexityJob> perplexities;
  Slots<text::StreamDecoder> decoders;
};

Instance& instance() {
  static Instance the_instance;
  return the_instance;
}

Result<const text::Tokenizer*> find_tokenizer() {
  const Instance& in = instance();
  if (in.engine && in.engine->tokenizer()) return in.engine->tokenizer();
  if (in.tokenizer) return &*in.tokenizer;
  return fail(ErrorCode::kNotFound, "this model was loaded without a tokenizer");
}

Error unknown(std::string_view what, uint32_t number) {
  return {ErrorCode::kInternal, concat("no ", what, " has the number ", number)};
}

const Reply* session_reply(uint32_t number) {
  const Session* session = instance().sessions.find(number);
  return out().ok({double(number), double(session->n_tokens())});
}

const Reply* add_session(Result<Session> session) {
  if (!session) return out().failed(std::move(session).error());
  return session_reply(instance().sessions.add(std::move(*session)));
}

}  // namespace
}  // namespace sutra::wasm

using namespace sutra;
using namespace sutra::wasm;

extern "C" {

EMSCRIPTEN_KEEPALIVE const Reply* sutra_warm_up() { return out().of(warm_up()); }

EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_begin(uint32_t exact, uint32_t int8_activations, uint32_t n_threads) {
  LoadOptions options;
  options.exact = exact != 0;
  options.int8_activations = int8_activations != 0;
  options.n_threads = n_threads;
  return begin_loading(options);
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_tokenizer(uint32_t size_bytes) {
  return out().of(loader()->set_tokenizer(input(size_bytes)));
}

// text: architecture, newline, quantization.
// values: parameters, weight bytes, state bytes, layers, width, vocabulary, tokenizer's vocabulary (0: none), state bytes
// a token, tokens of a context (infinity: no bound)
EMSCRIPTEN_KEEPALIVE const Reply* sutra_load_finish() {
  Instance& in = instance();
  auto engine = loader()->finish();
  loader().reset();
  drop_input();
  if (!engine) return out().failed(std::move(engine).error());
  in.engine = std::move(*engine);
  const ModelInfo& info = in.engine->info();
  const text::Tokenizer* tokenizer = in.engine->tokenizer();
  return out().ok({double(info.n_parameters), double(info.weight_bytes), double(info.state_bytes), double(info.n_layer),
                   double(info.n_embd), double(info.vocab_size), tokenizer ? double(tokenizer->vocab_size()) : 0,
                   double(info.state_bytes_per_token),
                   info.max_tokens == UINT64_MAX ? std::numeric_limits<double>::infinity() : double(info.max_tokens)},
                  concat(info.architecture, "\n", info.quantization));
}

// A tokenizer without a model. values: its vocabulary
EMSCRIPTEN_KEEPALIVE const Reply* sutra_tokenizer_load(uint32_t size_bytes) {
  Instance& in = instance();
  auto tokenizer = text::Tokenizer::from_file(input(size_bytes));
  if (!tokenizer) return out().failed(std::move(tokenizer).error());
  in.tokenizer.emplace(std::move(*tokenizer));
  return out().ok({double(in.tokenizer->vocab_size())});
}

// Sessions. values of those that return one: its number, its tokens so far

EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_create() { return add_session(Session::create(instance().engine)); }

EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_clone(uint32_t number) {
  const Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  return add_session(session->clone());
}

// values: its number, its tokens so far
EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_position(uint32_t number) {
  if (!instance().sessions.find(number)) return out().failed(unknown("session", number));
  return session_reply(number);
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_remove(uint32_t number) {
  instance().sessions.remove(number);
  return out().ok();
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_reset(uint32_t number) {
  Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  session->reset();
  return session_reply(number);
}

// data: float32, one a vocabulary entry; empty before the first token
EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_logits(uint32_t number) {
  const Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  return out().view(session->logits());
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_save(uint32_t number) {
  const Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  auto bytes = session->save();
  if (!bytes) return out().failed(std::move(bytes).error());
  return out().ok(std::move(*bytes));
}

// input: the bytes of one state
EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_load(uint32_t number, uint32_t size_bytes) {
  Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  if (Status status = session->load(input(size_bytes)); !status) return out().failed(std::move(status).error());
  return session_reply(number);
}

// input: numbers of sessions, whose mean the session becomes
EMSCRIPTEN_KEEPALIVE const Reply* sutra_session_mean(uint32_t number, uint32_t size_bytes) {
  Session* session = instance().sessions.find(number);
  if (!session) return out().failed(unknown("session", number));
  std::vector<Session> sessions;
  for (const int32_t source : input_ids(size_bytes)) {
    const Session* one = instance().sessions.find(static_cast<uint32_t>(source));
    if (!one) return out().failed(unknown("session", static_cast<uint32_t>(source)));
    auto copy = one->clone();
    if (!copy) return out().failed(std::move(copy).error());
    sessions.push_back(std::move(*copy));
  }
  auto mean = Session::mean(sessions);
  if (!mean) return out().failed(std::move(mean).error());
  *session = std::move(*mean);
  return session_reply(number);
}

// Generations. The session must not be removed or used otherwise before the generation is removed.

// input: the prompt (text, or ids as int32) of prompt_bytes, then the stop strings, packed. values: number, prompt tokens
EMSCRIPTEN_KEEPALIVE const Reply* sutra_generation_create(uint32_t session_number, uint32_t prompt_is_text,
                                                          uint32_t prompt_bytes, uint32_t input_bytes,
                                                          double max_tokens, double temperature, double top_k,
                                                          double top_p, double min_p, double repetition_penalty,
                                                          double seed, uint32_t logprobs) {
  Instance& in = instance();
  Session* session = in.sessions.find(session_number);
  if (!session) return out().failed(unknown("session", session_number));
  GenerateOptions options;
  options.max_tokens = static_cast<uint64_t>(max_tokens);
  options.sampling.temperature = static_cast<float>(temperature);
  options.sampling.top_k = static_cast<int32_t>(top_k);
  options.sampling.top_p = static_cast<float>(top_p);
  options.sampling.min_p = static_cast<float>(min_p);
  options.sampling.repetition_penalty = static_cast<float>(repetition_penalty);
  options.sampling.seed = static_cast<uint64_t>(seed);
  options.logprobs = logprobs != 0;
  options.stop = unpack_texts(input(input_bytes).subspan(prompt_bytes));
  auto generation = prompt_is_text ? Generation::create(*session, input_text(prompt_bytes), options)
                                   : Generation::create(*session, input_ids(prompt_bytes), options);
  if (!generation) return out().failed(std::move(generation).error());
  const auto n_prompt_tokens = double(generation->n_prompt_tokens());
  return out().ok({double(in.generations.add(std::move(*generation))), n_prompt_tokens});
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_generation_consume(uint32_t number) {
  Instance& in = instance();
  Generation* generation = in.generations.find(number);
  if (!generation) return out().failed(unknown("generation", number));
  return out().of(generation->consume());
}

// text: what became certain. values: kind (0 prefill, 1 token, 2 done), prompt tokens done, id, log probability
// (NaN unless asked for), stop reason (1 eos, 2 stop, 3 length), tokens generated so far
EMSCRIPTEN_KEEPALIVE const Reply* sutra_generation_step(uint32_t number) {
  Instance& in = instance();
  Generation* generation = in.generations.find(number);
  if (!generation) return out().failed(unknown("generation", number));
  auto step = generation->step();
  if (!step) return out().failed(std::move(step).error());
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  return out().ok(
      {double(step->kind), double(step->n_prompt_done), double(step->id),
       step->logprob ? double(*step->logprob) : kNone, double(step->stop_reason), double(generation->n_generated())},
      std::move(step->text));
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_generation_remove(uint32_t number) {
  instance().generations.remove(number);
  return out().ok();
}

// Perplexity

// input: the text as ids. values: number
EMSCRIPTEN_KEEPALIVE const Reply* sutra_perplexity_create(uint32_t ids_bytes, uint32_t n_context,
                                                          uint32_t carry_state) {
  Instance& in = instance();
  std::vector<int32_t> ids = input_ids(ids_bytes);
  drop_input();  // it held a whole text
  auto job = PerplexityJob::create(in.engine, std::move(ids), {n_context, carry_state != 0});
  if (!job) return out().failed(std::move(job).error());
  return out().ok({double(in.perplexities.add(std::move(*job)))});
}

// values: whether there is more to do, tokens scored so far, their mean negative log likelihood
EMSCRIPTEN_KEEPALIVE const Reply* sutra_perplexity_step(uint32_t number) {
  PerplexityJob* job = instance().perplexities.find(number);
  if (!job) return out().failed(unknown("perplexity", number));
  const auto more = job->step();
  if (!more) return out().failed(more.error());
  const PerplexityResult result = job->result();
  return out().ok({double(*more), double(result.n_tokens), result.nll});
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_perplexity_remove(uint32_t number) {
  instance().perplexities.remove(number);
  return out().ok();
}

// Text

// data: ids as int32
EMSCRIPTEN_KEEPALIVE const Reply* sutra_encode(uint32_t size_bytes, uint32_t add_special) {
  const auto tokenizer = find_tokenizer();
  if (!tokenizer) return out().failed(tokenizer.error());
  const text::Encoding encoding = (*tokenizer)->encode(input_text(size_bytes), add_special != 0);
  const auto bytes = std::as_bytes(std::span(encoding.ids));
  return out().ok(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_decode(uint32_t ids_bytes) {
  const auto tokenizer = find_tokenizer();
  if (!tokenizer) return out().failed(tokenizer.error());
  return out().ok({}, (*tokenizer)->decode(input_ids(ids_bytes)));
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_decoder_create() {
  Instance& in = instance();
  const auto tokenizer = find_tokenizer();
  if (!tokenizer) return out().failed(tokenizer.error());
  return out().ok({double(in.decoders.add(text::StreamDecoder(**tokenizer)))});
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_decoder_push(uint32_t number, int32_t id) {
  text::StreamDecoder* decoder = instance().decoders.find(number);
  if (!decoder) return out().failed(unknown("decoder", number));
  return out().ok({}, decoder->push(id));
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_decoder_flush(uint32_t number) {
  text::StreamDecoder* decoder = instance().decoders.find(number);
  if (!decoder) return out().failed(unknown("decoder", number));
  return out().ok({}, decoder->flush());
}

EMSCRIPTEN_KEEPALIVE const Reply* sutra_decoder_remove(uint32_t number) {
  instance().decoders.remove(number);
  return out().ok();
}

}  // extern "C"
