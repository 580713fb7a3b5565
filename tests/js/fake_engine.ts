// The exported functions of bindings/wasm/module.cpp over a real WebAssembly.Memory, with a toy model behind them:
// token n of a text is the letter n of the alphabet, a session's state is the list of its ids. Only for tests.
import { engineErrorCodes } from '../../bindings/js/errors.ts';
import type { EngineModule } from '../../bindings/js/heap.ts';
import type { EngineErrorCode } from '../../bindings/js/types.ts';

const replyAt = 1024;
const textAt = 2048;
const dataAt = 32768;
const inputAt = 65536;

export class FakeEngine {
  readonly memory = new WebAssembly.Memory({ initial: 2, maximum: 64 });
  readonly files: { name: string; bytes: number; fed: number }[] = [];
  /** The bytes of .pth files, in the order in which they came. */
  readonly given: number[] = [];
  readonly sessions = new Map<number, number[]>();
  readonly generations = new Map<
    number,
    { session: number; prompt: number[]; read: number; left: number; written: number; logprobs: boolean }
  >();
  readonly perplexities = new Map<number, { ids: number[]; context: number; carryState: boolean; scored: number }>();
  threads = 0;
  steps = 0;
  /** Names of functions that trap instead of answering. */
  readonly traps = new Set<string>();
  /** Functions that fail, with what they report. */
  readonly failures = new Map<string, [EngineErrorCode, string]>();
  #last = 0;
  #hashed = 0;

  /** As Emscripten's glue would give it. */
  readonly module: EngineModule = new Proxy({} as EngineModule, {
    get: (_, name: string) => {
      if (name === 'wasmMemory') return this.memory;
      if (!name.startsWith('_sutra')) return undefined;
      return (...values: number[]) => {
        if (this.traps.has(name)) throw new WebAssembly.RuntimeError('unreachable');
        const failure = this.failures.get(name);
        if (failure) return this.#reply({ code: engineErrorCodes.indexOf(failure[0]) + 1, text: failure[1] });
        const method = (this as unknown as Record<string, ((...values: number[]) => number) | undefined>)[name];
        if (!method) throw new Error(`the fake engine has no ${name}`);
        return method.apply(this, values);
      };
    },
  });

  #reply({ code = 0, text = '', data = new Uint8Array(), values = [] as number[] }): number {
    const bytes = new TextEncoder().encode(text);
    new Uint8Array(this.memory.buffer, textAt, bytes.length).set(bytes);
    new Uint8Array(this.memory.buffer, dataAt, data.length).set(data);
    new Uint32Array(this.memory.buffer, replyAt, 6).set([code, textAt, bytes.length, dataAt, data.length, 0]);
    new Float64Array(this.memory.buffer, replyAt + 24, 10).fill(0).set(values);
    return replyAt;
  }

  input(size: number, from = 0): Uint8Array {
    return new Uint8Array(this.memory.buffer, inputAt + from, size - from).slice();
  }

  #session(session: number): number {
    const ids = this.sessions.get(session);
    if (!ids) return this.#reply({ code: 15, text: `no session ${session}` });
    return this.#reply({ values: [session, ids.length] });
  }

  _sutra_input(size: number): number {
    const missing = inputAt + size - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / 65536));
      } catch {
        return 0;
      }
    }
    return inputAt;
  }
  _sutra_self_test() {
    return this.#reply({});
  }
  _sutra_warm_up() {
    return this.#reply({});
  }
  _sutra_memory() {
    return this.#reply({ values: [100, 200] });
  }
  _sutra_hash(size: number) {
    for (const byte of this.input(size)) this.#hashed += byte;
    return this.#reply({});
  }
  /** Not SHA-256, only a sum: whether the real one is right is tested with the real engine. */
  _sutra_hash_finish() {
    const text = `sum-${this.#hashed}`;
    this.#hashed = 0;
    return this.#reply({ text });
  }
  _sutra_load_begin(_exact: number, _int8Activations: number, threads: number) {
    this.threads = threads;
    this.files.length = 0;
    this.#hashed = 0;
    return this.#reply({});
  }
  _sutra_load_config(size: number) {
    this.files.push({ name: 'config.json', bytes: size, fed: size });
    return this.#reply({});
  }
  _sutra_load_tokenizer(size: number) {
    this.files.push({ name: 'tokenizer.json', bytes: size, fed: size });
    return this.#reply({});
  }
  _sutra_load_file(nameBytes: number, bytes: number) {
    this.files.push({ name: new TextDecoder().decode(this.input(nameBytes)), bytes, fed: 0 });
    return this.#reply({});
  }
  /** In order, but for files whose name ends in .pth: after the first 16 bytes their last four, then the rest. */
  _sutra_load_wanted() {
    const { name, bytes, fed } = this.files.at(-1)!;
    if (!name.endsWith('.pth')) return this.#reply({ values: [fed, bytes - fed, 1] });
    if (fed < 16) return this.#reply({ values: [fed, 16 - fed, 1] });
    if (fed < 20) return this.#reply({ values: [bytes - 20 + fed, 20 - fed, 0] });
    return this.#reply({ values: [fed - 4, bytes - fed, 0] });
  }
  _sutra_load_chunk(size: number) {
    const file = this.files.at(-1)!;
    file.fed += size;
    if (file.name.endsWith('.pth')) this.given.push(...this.input(size));
    if (file.fed > file.bytes) return this.#reply({ code: 5, text: 'too many bytes' });
    return this.#reply({});
  }
  _sutra_load_file_end() {
    const file = this.files.at(-1)!;
    return file.fed === file.bytes ? this.#reply({}) : this.#reply({ code: 4, text: `${file.name} ends early` });
  }
  _sutra_load_finish() {
    return this.#reply({ text: 'toy\nletters', values: [26, 260, 8, 1, 2, 26, 26] });
  }
  _sutra_tokenizer_load() {
    return this.#reply({ values: [26] });
  }
  _sutra_session_create() {
    this.sessions.set(++this.#last, []);
    return this.#session(this.#last);
  }
  _sutra_session_clone(session: number) {
    this.sessions.set(++this.#last, [...this.sessions.get(session)!]);
    return this.#session(this.#last);
  }
  _sutra_session_position(session: number) {
    return this.#session(session);
  }
  _sutra_session_remove(session: number) {
    for (const generation of this.generations.values())
      if (generation.session === session) throw new WebAssembly.RuntimeError('use after free');
    this.sessions.delete(session);
    return this.#reply({});
  }
  _sutra_session_reset(session: number) {
    this.sessions.set(session, []);
    return this.#session(session);
  }
  _sutra_session_logits(session: number) {
    return this.#reply({ data: new Uint8Array(Float32Array.from(this.sessions.get(session)!).buffer) });
  }
  _sutra_session_save(session: number) {
    return this.#reply({ data: Uint8Array.from(this.sessions.get(session)!) });
  }
  _sutra_session_load(session: number, size: number) {
    this.sessions.set(session, [...this.input(size)]);
    return this.#session(session);
  }
  /** Its own kind of mean: all ids one after the other. */
  _sutra_session_mean(session: number, size: number) {
    const numbers = [...new Int32Array(this.input(size).buffer)];
    this.sessions.set(
      session,
      numbers.flatMap((number) => this.sessions.get(number)!),
    );
    return this.#session(session);
  }
  _sutra_generation_create(
    session: number,
    isText: number,
    promptBytes: number,
    _inputBytes: number,
    maxTokens: number,
    ...sampling: number[]
  ) {
    const logprobs = sampling.at(-1) === 1;
    const bytes = this.input(promptBytes);
    const prompt = isText ? [...bytes].map((byte) => byte - 97) : [...new Int32Array(bytes.buffer)];
    this.generations.set(++this.#last, { session, prompt, read: 0, left: maxTokens, written: 0, logprobs });
    return this.#reply({ values: [this.#last, prompt.length] });
  }
  _sutra_generation_step(number: number) {
    this.steps++;
    const generation = this.generations.get(number)!;
    const ids = this.sessions.get(generation.session)!;
    if (generation.read < generation.prompt.length) {
      ids.push(...generation.prompt.slice(generation.read, generation.read + 4));
      generation.read = Math.min(generation.read + 4, generation.prompt.length);
      return this.#reply({ values: [0, generation.read, -1] });
    }
    if (generation.left-- <= 0) return this.#reply({ values: [2, generation.read, -1, 0, 3, generation.written] });
    const id = ids.length % 26;
    ids.push(id);
    generation.written++;
    const logprob = generation.logprobs ? -0.5 : NaN;
    return this.#reply({ text: letter(id), values: [1, generation.read, id, logprob, 0, generation.written] });
  }
  _sutra_generation_consume(_number: number) {
    return this.#reply({});
  }
  _sutra_generation_remove(number: number) {
    this.generations.delete(number);
    return this.#reply({});
  }
  /** A token's negative log likelihood is its id. */
  _sutra_perplexity_create(idsBytes: number, context: number, carryState: number) {
    const ids = [...new Int32Array(this.input(idsBytes).buffer)];
    if (ids.length < 2) return this.#reply({ code: 1, text: `at least two tokens, found ${ids.length}` });
    this.perplexities.set(++this.#last, { ids, context, carryState: carryState === 1, scored: 0 });
    return this.#reply({ values: [this.#last] });
  }
  _sutra_perplexity_step(number: number) {
    this.steps++;
    const job = this.perplexities.get(number)!;
    job.scored = Math.min(job.scored + 4, job.ids.length - 1);
    const sum = job.ids.slice(1, job.scored + 1).reduce((all, id) => all + id, 0);
    return this.#reply({ values: [Number(job.scored < job.ids.length - 1), job.scored, sum / job.scored] });
  }
  _sutra_perplexity_remove(number: number) {
    this.perplexities.delete(number);
    return this.#reply({});
  }
  _sutra_encode(size: number) {
    const ids = Int32Array.from(this.input(size), (byte) => byte - 97);
    return this.#reply({ data: new Uint8Array(ids.buffer) });
  }
  _sutra_decode(size: number) {
    return this.#reply({ text: [...new Int32Array(this.input(size).buffer)].map(letter).join('') });
  }
  _sutra_decoder_create() {
    return this.#reply({ values: [++this.#last] });
  }
  _sutra_decoder_push(_decoder: number, id: number) {
    return this.#reply({ text: letter(id) });
  }
  _sutra_decoder_flush() {
    return this.#reply({ text: '.' });
  }
  _sutra_decoder_remove() {
    return this.#reply({});
  }
}

export function letter(id: number): string {
  return String.fromCharCode(97 + id);
}
