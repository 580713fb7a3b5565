// The engine's memory and functions: all pointers, all copies, and nothing else. The other side is
// bindings/wasm/module.cpp, where every function is described.
import { engineErrorCodes, raise, raiseCrash } from './errors.ts';
import type { WireGenerateOptions } from './protocol.ts';
import type { MemoryUse, ModelInfo, Prompt, TokenIds } from './types.ts';

type Address = number;

/** What Emscripten's glue gives: the exported functions, each with a leading underscore. */
export interface EngineModule {
  readonly wasmMemory: WebAssembly.Memory;
  _sutra_input(sizeBytes: number): Address;
  _sutra_self_test(): Address;
  _sutra_warm_up(): Address;
  _sutra_memory(): Address;
  _sutra_hash(sizeBytes: number): Address;
  _sutra_hash_finish(): Address;
  _sutra_load_begin(exact: number, int8Activations: number, threads: number): Address;
  _sutra_load_config(configBytes: number, inputBytes: number): Address;
  _sutra_load_tokenizer(sizeBytes: number): Address;
  _sutra_load_file(nameBytes: number, fileBytes: number): Address;
  _sutra_load_wanted(): Address;
  _sutra_load_chunk(sizeBytes: number): Address;
  _sutra_load_file_end(): Address;
  _sutra_load_finish(): Address;
  _sutra_tokenizer_load(sizeBytes: number): Address;
  _sutra_session_create(): Address;
  _sutra_session_clone(session: number): Address;
  _sutra_session_position(session: number): Address;
  _sutra_session_remove(session: number): Address;
  _sutra_session_reset(session: number): Address;
  _sutra_session_logits(session: number): Address;
  _sutra_session_save(session: number): Address;
  _sutra_session_load(session: number, sizeBytes: number): Address;
  _sutra_session_mean(session: number, sizeBytes: number): Address;
  _sutra_generation_create(
    session: number,
    promptIsText: number,
    promptBytes: number,
    inputBytes: number,
    maxTokens: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    repetitionPenalty: number,
    seed: number,
    logprobs: number,
  ): Address;
  _sutra_generation_step(generation: number): Address;
  _sutra_generation_consume(generation: number): Address;
  _sutra_generation_remove(generation: number): Address;
  _sutra_encode(sizeBytes: number, special: number): Address;
  _sutra_decode(idsBytes: number): Address;
  _sutra_decoder_create(): Address;
  _sutra_decoder_push(decoder: number, id: number): Address;
  _sutra_decoder_flush(decoder: number): Address;
  _sutra_decoder_remove(decoder: number): Address;
}

/** The struct Reply of bindings/wasm/reply.h: six words, ten doubles. */
const replyWords = 6;
const replyValues = 10;

interface Answer {
  readonly values: Float64Array;
  readonly text: string;
  /** A copy. */
  readonly data: ArrayBuffer;
}

export interface Step {
  readonly kind: 'prefill' | 'token' | 'done';
  readonly id: number;
  readonly logprob: number | undefined;
  readonly text: string;
  readonly stopReason: 'eos' | 'stop' | 'length' | undefined;
  readonly generatedTokens: number;
}

export interface Wanted {
  readonly offset: number;
  readonly size: number;
  /** Whether bytes are wanted from the file's first to its last. Known for sure after 16 bytes. */
  readonly inOrder: boolean;
}

export interface SessionPlace {
  readonly session: number;
  readonly position: number;
}

const stepKinds = ['prefill', 'token', 'done'] as const;
const stopReasons = [undefined, 'eos', 'stop', 'length'] as const;
const chunkBytes = 1 << 20;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Heap {
  readonly #module: EngineModule;

  constructor(module: EngineModule) {
    this.#module = module;
  }

  selfTest(): void {
    this.#call((m) => m._sutra_self_test());
  }

  /** A few milliseconds of work, after which the browser makes its better code of the kernels. */
  warmUp(): void {
    this.#call((m) => m._sutra_warm_up());
  }

  memory(): MemoryUse {
    const { values } = this.#call((m) => m._sutra_memory());
    return { wasmBytes: this.#module.wasmMemory.buffer.byteLength, usedBytes: values[0]!, peakBytes: values[1]! };
  }

  // Loading

  loadBegin(exact: boolean, activationBits: 15 | 8, threads: number): void {
    this.#call((m) => m._sutra_load_begin(Number(exact), Number(activationBits === 8), threads));
  }

  /** Empty where there is no config.json; overrides are "key=value". */
  loadConfig(json: Uint8Array, overrides: readonly string[]): void {
    const input = concatenate([json, ...overrides.flatMap(packText)]);
    this.#write(input);
    this.#call((m) => m._sutra_load_config(json.length, input.length));
  }

  loadTokenizer(json: Uint8Array): void {
    this.#write(json);
    this.#call((m) => m._sutra_load_tokenizer(json.length));
  }

  loadFile(name: string, fileBytes: number): void {
    const bytes = encoder.encode(name);
    this.#write(bytes);
    this.#call((m) => m._sutra_load_file(bytes.length, fileBytes));
  }

  /** The bytes of the file that are wanted next; size 0 when it was read. */
  loadWanted(): Wanted {
    const { values } = this.#call((m) => m._sutra_load_wanted());
    return { offset: values[0]!, size: values[1]!, inOrder: values[2] === 1 };
  }

  /** The first of the wanted bytes. */
  loadChunk(chunk: Uint8Array): void {
    for (const part of this.#parts(chunk)) this.#call((m) => m._sutra_load_chunk(part));
  }

  loadFileEnd(): void {
    this.#call((m) => m._sutra_load_file_end());
  }

  loadFinish(): { info: ModelInfo; tokenizerVocabulary: number } {
    const { values, text } = this.#call((m) => m._sutra_load_finish());
    const [architecture, quantisation] = text.split('\n') as [string, string];
    const [
      parameters,
      bytes,
      stateBytes,
      layers,
      width,
      vocabularySize,
      tokenizerVocabulary,
      stateBytesPerToken,
      maxTokens,
    ] = values as unknown as [number, number, number, number, number, number, number, number, number];
    const state = { stateBytes, stateBytesPerToken, maxTokens };
    const info = { architecture, parameters, bytes, quantisation, layers, width, vocabularySize, ...state };
    return { info, tokenizerVocabulary };
  }

  tokenizerLoad(json: Uint8Array): number {
    this.#write(json);
    return this.#call((m) => m._sutra_tokenizer_load(json.length)).values[0]!;
  }

  /** Adds bytes to the running SHA-256. */
  hash(bytes: Uint8Array): void {
    for (const part of this.#parts(bytes)) this.#call((m) => m._sutra_hash(part));
  }

  hashFinish(): string {
    return this.#call((m) => m._sutra_hash_finish()).text;
  }

  // Sessions

  sessionCreate(): SessionPlace {
    return place(this.#call((m) => m._sutra_session_create()));
  }

  sessionClone(session: number): SessionPlace {
    return place(this.#call((m) => m._sutra_session_clone(session)));
  }

  sessionPlace(session: number): SessionPlace {
    return place(this.#call((m) => m._sutra_session_position(session)));
  }

  sessionRemove(session: number): void {
    this.#call((m) => m._sutra_session_remove(session));
  }

  sessionReset(session: number): SessionPlace {
    return place(this.#call((m) => m._sutra_session_reset(session)));
  }

  sessionLogits(session: number): Float32Array {
    return new Float32Array(this.#call((m) => m._sutra_session_logits(session)).data);
  }

  sessionSave(session: number): Uint8Array {
    return new Uint8Array(this.#call((m) => m._sutra_session_save(session)).data);
  }

  sessionLoad(session: number, state: Uint8Array): SessionPlace {
    this.#write(state);
    return place(this.#call((m) => m._sutra_session_load(session, state.length)));
  }

  /** The session becomes the mean of others. */
  sessionMean(session: number, of: readonly number[]): SessionPlace {
    const ids = idBytes(of);
    this.#write(ids);
    return place(this.#call((m) => m._sutra_session_mean(session, ids.length)));
  }

  // Generation

  generationCreate(
    session: number,
    prompt: Prompt,
    options: WireGenerateOptions,
  ): { generation: number; promptTokens: number } {
    const promptBytes = typeof prompt === 'string' ? encoder.encode(prompt) : idBytes(prompt);
    const input = concatenate([promptBytes, ...options.stop.flatMap(packText)]);
    this.#write(input);
    const { values } = this.#call((m) =>
      m._sutra_generation_create(
        session,
        Number(typeof prompt === 'string'),
        promptBytes.length,
        input.length,
        options.maxTokens,
        options.temperature,
        options.topK,
        options.topP,
        options.minP,
        options.repetitionPenalty,
        options.seed,
        Number(options.logprobs),
      ),
    );
    return { generation: values[0]!, promptTokens: values[1]! };
  }

  /** Reads the last step's token into the session; generationStep() begins with it where this was not called. */
  generationConsume(generation: number): void {
    this.#call((m) => m._sutra_generation_consume(generation));
  }

  generationStep(generation: number): Step {
    const { values, text } = this.#call((m) => m._sutra_generation_step(generation));
    return {
      kind: stepKinds[values[0]!]!,
      id: values[2]!,
      logprob: Number.isNaN(values[3]!) ? undefined : values[3]!,
      text,
      stopReason: stopReasons[values[4]!],
      generatedTokens: values[5]!,
    };
  }

  generationRemove(generation: number): void {
    this.#call((m) => m._sutra_generation_remove(generation));
  }

  // Text

  encode(text: string, special: boolean): Int32Array {
    const bytes = encoder.encode(text);
    this.#write(bytes);
    return new Int32Array(this.#call((m) => m._sutra_encode(bytes.length, Number(special))).data);
  }

  decode(ids: TokenIds): string {
    const bytes = idBytes(ids);
    this.#write(bytes);
    return this.#call((m) => m._sutra_decode(bytes.length)).text;
  }

  decoderCreate(): number {
    return this.#call((m) => m._sutra_decoder_create()).values[0]!;
  }

  /** null ends the text. */
  decoderStep(decoder: number, id: number | null): string {
    return this.#call((m) => (id === null ? m._sutra_decoder_flush(decoder) : m._sutra_decoder_push(decoder, id))).text;
  }

  decoderRemove(decoder: number): void {
    this.#call((m) => m._sutra_decoder_remove(decoder));
  }

  // Memory. Views live for one statement: any call may grow the memory and leave them behind.

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const address = this.#enter((m) => m._sutra_input(bytes.length)) >>> 0;
    if (address === 0) raise('out_of_memory', `the engine has no room for an input of ${bytes.length} bytes`);
    new Uint8Array(this.#module.wasmMemory.buffer, address, bytes.length).set(bytes);
  }

  /** Writes slices one after the other into the same room, yielding the size of each. */
  *#parts(bytes: Uint8Array): Generator<number> {
    for (let begin = 0; begin < bytes.length; begin += chunkBytes) {
      const part = bytes.subarray(begin, begin + chunkBytes);
      this.#write(part);
      yield part.length;
    }
  }

  #call(enter: (module: EngineModule) => Address): Answer {
    const address = this.#enter(enter) >>> 0;
    const memory = this.#module.wasmMemory.buffer;
    const [code, text, textBytes, data, dataBytes] = new Uint32Array(memory, address, replyWords) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    // Copies: TextDecoder refuses views on shared memory, and the memory may move.
    const message = textBytes === 0 ? '' : decoder.decode(new Uint8Array(memory, text, textBytes).slice());
    if (code !== 0) return raise(engineErrorCodes[code - 1] ?? 'internal', message);
    return {
      values: new Float64Array(memory, address + 4 * replyWords, replyValues).slice(),
      text: message,
      data: new Uint8Array(memory, data, dataBytes).slice().buffer as ArrayBuffer,
    };
  }

  /** Whatever is thrown in there is a trap, after which the engine's memory means nothing. */
  #enter<T>(enter: (module: EngineModule) => T): T {
    try {
      return enter(this.#module);
    } catch (error) {
      return raiseCrash(error);
    }
  }
}

function place({ values }: Answer): SessionPlace {
  return { session: values[0]!, position: values[1]! };
}

function idBytes(ids: TokenIds): Uint8Array {
  return new Uint8Array(Int32Array.from(ids).buffer);
}

/** The text behind its size as four bytes. */
function packText(text: string): Uint8Array[] {
  const bytes = encoder.encode(text);
  return [new Uint8Array(Uint32Array.of(bytes.length).buffer), bytes];
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
