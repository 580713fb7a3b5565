// A module's memory: all pointers, all copies, and what its modules have in common. The other side is
// bindings/wasm/shared.cpp, where every function is described.
import { engineErrorCodes, raise, raiseCrash } from './errors.ts';
import type { MemoryUse } from './types.ts';

export type Address = number;

/** What Emscripten's glue gives: the exported functions, each with a leading underscore. */
export interface SharedModule {
  readonly wasmMemory: WebAssembly.Memory;
  _sutra_input(sizeBytes: number): Address;
  _sutra_memory(): Address;
  _sutra_hash(sizeBytes: number): Address;
  _sutra_hash_finish(): Address;
  _sutra_load_config(configBytes: number, inputBytes: number): Address;
  _sutra_load_file(nameBytes: number, fileBytes: number): Address;
  _sutra_load_wanted(): Address;
  _sutra_load_chunk(sizeBytes: number): Address;
  _sutra_load_file_end(): Address;
}

/** The struct Reply of bindings/wasm/reply.h: six words, ten doubles. */
const replyWords = 6;
const replyValues = 10;

export interface Answer {
  readonly values: Float64Array;
  readonly text: string;
  /** A copy. */
  readonly data: ArrayBuffer;
}

export interface Wanted {
  readonly offset: number;
  readonly size: number;
  /** Whether bytes are wanted from the file's first to its last. Known for sure after 16 bytes. */
  readonly inOrder: boolean;
}

const chunkBytes = 1 << 20;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class ModuleHeap<Module extends SharedModule> {
  readonly #module: Module;

  constructor(module: Module) {
    this.#module = module;
  }

  memory(): MemoryUse {
    const { values } = this.call((m) => m._sutra_memory());
    return { wasmBytes: this.#module.wasmMemory.buffer.byteLength, usedBytes: values[0]!, peakBytes: values[1]! };
  }

  /** Empty where there is no config.json; overrides are "key=value". */
  loadConfig(json: Uint8Array, overrides: readonly string[]): void {
    const input = concatenate([json, ...overrides.flatMap(packText)]);
    this.write(input);
    this.call((m) => m._sutra_load_config(json.length, input.length));
  }

  loadFile(name: string, fileBytes: number): void {
    const bytes = encoder.encode(name);
    this.write(bytes);
    this.call((m) => m._sutra_load_file(bytes.length, fileBytes));
  }

  /** The bytes of the file that are wanted next; size 0 when it was read. */
  loadWanted(): Wanted {
    const { values } = this.call((m) => m._sutra_load_wanted());
    return { offset: values[0]!, size: values[1]!, inOrder: values[2] === 1 };
  }

  /** The first of the wanted bytes. */
  loadChunk(chunk: Uint8Array): void {
    for (const part of this.#parts(chunk)) this.call((m) => m._sutra_load_chunk(part));
  }

  loadFileEnd(): void {
    this.call((m) => m._sutra_load_file_end());
  }

  /** Adds bytes to the running SHA-256. */
  hash(bytes: Uint8Array): void {
    for (const part of this.#parts(bytes)) this.call((m) => m._sutra_hash(part));
  }

  hashFinish(): string {
    return this.call((m) => m._sutra_hash_finish()).text;
  }

  // Memory. Views live for one statement: any call may grow the memory and leave them behind.

  protected write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const address = this.#enter((m) => m._sutra_input(bytes.length)) >>> 0;
    if (address === 0) raise('out_of_memory', `the engine has no room for an input of ${bytes.length} bytes`);
    new Uint8Array(this.#module.wasmMemory.buffer, address, bytes.length).set(bytes);
  }

  /** Writes slices one after the other into the same room, yielding the size of each. */
  *#parts(bytes: Uint8Array): Generator<number> {
    for (let begin = 0; begin < bytes.length; begin += chunkBytes) {
      const part = bytes.subarray(begin, begin + chunkBytes);
      this.write(part);
      yield part.length;
    }
  }

  protected call(enter: (module: Module) => Address): Answer {
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
    const message = textBytes === 0 ? '' : decoder.decode(this.copy(text, textBytes));
    if (code !== 0) return raise(engineErrorCodes[code - 1] ?? 'internal', message);
    return {
      values: new Float64Array(memory, address + 4 * replyWords, replyValues).slice(),
      text: message,
      data: this.copy(data, dataBytes).buffer,
    };
  }

  protected copy(address: Address, sizeBytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#module.wasmMemory.buffer, address, sizeBytes).slice() as Uint8Array<ArrayBuffer>;
  }

  /** Whatever is thrown in there is a trap, after which the engine's memory means nothing. */
  #enter<T>(enter: (module: Module) => T): T {
    try {
      return enter(this.#module);
    } catch (error) {
      return raiseCrash(error);
    }
  }
}

/** The text behind its size as four bytes. */
export function packText(text: string): Uint8Array[] {
  const bytes = encoder.encode(text);
  return [new Uint8Array(Uint32Array.of(bytes.length).buffer), bytes];
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
