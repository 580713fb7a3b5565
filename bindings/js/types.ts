// The public types of sutra-web. Everything a user of the package can see is declared here; the code behind it is in
// client.ts (main thread) and worker.ts (the thread that owns the engine).

/** Why a call failed. The first part mirrors src/base/error.h; the last two can only happen in JavaScript. */
export type SutraErrorCode = EngineErrorCode | 'worker_crashed' | 'disposed';

/** The engine's own codes, in the order of src/base/error.h (a test compares the two lists). */
export type EngineErrorCode =
  | 'invalid_argument'
  | 'not_found'
  | 'io'
  | 'truncated'
  | 'malformed'
  | 'unsupported'
  | 'dtype_mismatch'
  | 'shape_mismatch'
  | 'too_large'
  | 'out_of_memory'
  | 'non_finite'
  | 'state_mismatch'
  | 'cancelled'
  | 'self_test_failed'
  | 'internal';

/** Which instruction set the engine was built for. Each exists with and without threads; see {@link Probe.threads}. */
export type Artefact = 'simd128' | 'relaxed';

/**
 * Where a model comes from:
 * - a URL (absolute or relative) of a folder, or of one file in it;
 * - a hub id `user/repo` or `user/repo@revision`;
 * - files that a person chose or dropped, in any order (names are taken from `webkitRelativePath` when present);
 * - a folder handle of the File System Access API;
 * - bytes or blobs under their file names.
 *
 * A string that looks like `user/repo` is a hub id; write `./user/repo` for a relative folder.
 */
export type ModelSource = string | URL | File | readonly File[] | Blob | FileSystemDirectoryHandle | NamedFiles;

export interface NamedFiles {
  readonly files: Readonly<Record<string, ArrayBuffer | Uint8Array | Blob>>;
}

export interface LoadProgress {
  /**
   * `resolve`: finding out which files there are. `download`: bytes go from the source into the engine.
   * `verify`: comparing sizes and hashes. `load`: the engine takes what a file has in places, or builds the model.
   * `write`: convert() makes the result. `quantize`: quantize() works. `ready`: done, sent once.
   */
  readonly phase: 'resolve' | 'download' | 'verify' | 'load' | 'write' | 'quantize' | 'ready';
  /** The file the bytes belong to. */
  readonly file?: string;
  /** Bytes so far, over all files: read ones, and with `write` those of the result. */
  readonly loaded: number;
  /** Bytes in all; 0 while unknown. */
  readonly total: number;
  /** From 0 to 1, never falling. */
  readonly fraction: number;
  /** With `quantize`: what is being done, for people: `embeddings`, `layer 3 of 12`, `head`. */
  readonly stage?: string;
  /** With `quantize`: an estimate. */
  readonly secondsLeft?: number;
  /** With `quantize`, where checkpoints are wanted, after every layer: what {@link QuantizeOptions.resume} takes. */
  readonly checkpoint?: Blob;
}

export type Manifest = Readonly<Record<string, { readonly bytes?: number; readonly sha256?: string }>>;

export interface LoadOptions {
  /** Threads for the engine. Default: as many as help, 1 where shared memory does not work. */
  readonly threads?: number;
  /** Forces one build instead of the fastest that passes its self-test. */
  readonly artefact?: Artefact;
  /** Keep downloaded files for the next visit. Default true; silently off where the browser has no cache. */
  readonly cache?: boolean;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Stops the load; the promise rejects with an `AbortError`. */
  readonly signal?: AbortSignal;
  /** `false` runs the engine in the calling thread, which blocks it for one token at a time. Default true. */
  readonly worker?: boolean;
  /** Float32 activations and weights as stored, no activation quantisation: slower, for comparisons. Default false. */
  readonly exact?: boolean;
  /** Bits of the activations that meet 4-bit weights: 15 loses nothing, 8 is faster. No effect with `exact`. Default 15. */
  readonly activationBits?: 15 | 8;
  /**
   * Values that replace those of config.json, or of what stands for it in the weights: `{group_norm_epsilon: 1e-5}`.
   * Keys that the model does not have are refused.
   */
  readonly config?: Readonly<Record<string, string | number | boolean>>;
  /** `false` does not look for a tokenizer. A model without one loads all the same: prompts are then token ids. */
  readonly tokenizer?: boolean;
  /** What the files must be, by name. A file that differs is refused, and a cached one is fetched again. */
  readonly manifest?: Manifest;
}

/** `safetensors`: a folder as Hugging Face has it. `gguf`: one file, as llama.cpp reads it. */
export type ConvertFormat = 'safetensors' | 'gguf';

export interface ConvertOptions
  extends Pick<LoadOptions, 'cache' | 'onProgress' | 'signal' | 'worker' | 'config' | 'tokenizer' | 'manifest'> {
  /** Default `safetensors`. */
  readonly format?: ConvertFormat;
  /** Of the matrices; `q8_0` and `q4_0` are GGUF's. Everything else is float32, or float16 where it is large. Default `f16`. */
  readonly dtype?: 'f32' | 'f16' | 'q8_0' | 'q4_0';
}

export interface Conversion {
  readonly report: {
    readonly architecture: string;
    readonly tensors: number;
    /** Of the file with the weights. */
    readonly bytes: number;
    /** Whether the result has one: in a file of its own, or in the GGUF file. */
    readonly tokenizer: boolean;
  };
  /** By their names. load() takes a conversion as it is. */
  readonly files: Readonly<Record<string, Blob>>;
}

/**
 * `awq`: scales and ranges that make the error of every layer's output least on the calibration text (arXiv:2306.00978).
 * `gptq`: rounding errors are made up for by the weights that come after (arXiv:2210.17323). `rtn`: to the nearest number.
 */
export type QuantizeMethod = 'awq' | 'rtn' | 'gptq';

export interface QuantizeOptions
  extends Pick<
    LoadOptions,
    'cache' | 'onProgress' | 'signal' | 'worker' | 'config' | 'tokenizer' | 'manifest' | 'threads' | 'artefact'
  > {
  /** Default `awq` with a calibration text, else `rtn`. */
  readonly method?: QuantizeMethod;
  /** Bits of a weight. 3 is for comparisons: it takes the room of 4. Default 4. */
  readonly bits?: 3 | 4 | 8;
  /** Weights that share a scale. Default 128. */
  readonly groupSize?: 32 | 64 | 128;
  /** Leaves in float what other programs expect so, as AutoAWQ embeddings and head: they load it. Default false. */
  readonly keepEmbeddings?: boolean;
  /** Text like that the model is for; some hundred kilobytes are plenty. `awq` and `gptq` need it. */
  readonly calibration?: string | Blob;
  /** How many pieces are taken from it, evenly spread, and of how many tokens at most. Default 64 of 512. */
  readonly calibrationSequences?: number;
  readonly calibrationContext?: number;
  /** Whether the progress has checkpoints, of the size of the result so far and 2 to 4 bytes × width for every token. Default false. */
  readonly checkpoints?: boolean;
  /** Goes on from a checkpoint of the same model, text and options; of others it is refused with `state_mismatch`. */
  readonly resume?: Blob;
}

export interface QuantizedTensor {
  readonly name: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Of a weight, or of the number that it was kept in. */
  readonly bits: number;
  /** Why it was not quantised; the rest is of those that were. */
  readonly keptBecause?: string;
  readonly groupSize?: number;
  /** Error of the outputs over the outputs, both rms, on the calibration text; without any, of the weights. */
  readonly outputError?: number;
  /** The same, had it been rounded to nearest. */
  readonly outputErrorRtn?: number;
  /** Share of the groups whose range was cut. */
  readonly cut?: number;
  /** Of the scales that AWQ gave its input, and whether the weights were looked at too. */
  readonly scaleExponent?: number;
  readonly duoScaling?: boolean;
}

export interface QuantizeReport {
  readonly architecture: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Of the quantised matrices, against float32. */
  readonly compression: number;
  readonly calibrationTokens: number;
  readonly tensors: readonly QuantizedTensor[];
}

export interface Quantization {
  readonly report: QuantizeReport;
  /** By their names, in the Hugging Face AWQ layout. load() takes a quantisation as it is. */
  readonly files: Readonly<Record<string, Blob>>;
  /** What the work took, beside the files: a layer and not the model. */
  readonly memory: MemoryUse;
  /** All of them in one .zip, for a download. */
  toBlob(): Promise<Blob>;
}

export type TokenIds = readonly number[] | Int32Array;

/** Text, or token ids for callers that tokenize themselves. */
export type Prompt = string | TokenIds;

export interface GenerateOptions {
  /** Most tokens to write. Default 256. */
  readonly maxTokens?: number;
  /** 0 always takes the likeliest token. Default 1. */
  readonly temperature?: number;
  /** Keeps the k likeliest tokens; 0 keeps all. Default 0. */
  readonly topK?: number;
  /** Keeps the likeliest tokens that together reach this probability, (0, 1]. Default 1. */
  readonly topP?: number;
  /** Drops tokens below this share of the likeliest one's probability, [0, 1]. Default 0. */
  readonly minP?: number;
  /** Above 1 makes recent tokens less likely. Default 1 (off). */
  readonly repetitionPenalty?: number;
  /** The same seed, options and prompt give the same text. Default: a fresh one every time. */
  readonly seed?: number;
  /** Ends the text before the first of these strings. */
  readonly stop?: string | readonly string[];
  /** Gives every piece the `logprob` of its token, for 1–3 % more time per token. Default false. */
  readonly logprobs?: boolean;
  /** Stops within one token; the iteration rejects with an `AbortError`. */
  readonly signal?: AbortSignal;
}

/** One token of the answer, or (with id -1) the text that was held back until the end was certain. */
export interface TextPiece {
  /** May be empty while a character or a stop string is still incomplete. */
  readonly text: string;
  readonly id: number;
  /** With `logprobs`: natural logarithm of the token's probability before any sampling option. */
  readonly logprob?: number;
}

/** `eos`: the model ended its text. `stop`: a stop string. `length`: maxTokens. `aborted`: signal or `break`. */
export type StopReason = 'stop' | 'length' | 'aborted' | 'eos';

export interface GenerateResult {
  readonly stopReason: StopReason;
  readonly usage: { readonly promptTokens: number; readonly generatedTokens: number };
  readonly timings: {
    /** From the call to the first token. */
    readonly firstTokenMs: number;
    /** 0 for an empty prompt. */
    readonly prefillTokensPerS: number;
    /** 0 when fewer than two tokens were written. */
    readonly decodeTokensPerS: number;
  };
}

/**
 * The text as it is written. Nothing runs until it is read, and it can be read once: iterate, or call `text()`,
 * or `toReadableStream()`. Leaving the loop stops the engine.
 */
export interface Generation extends AsyncIterable<TextPiece> {
  /** The whole text, when it is finished. */
  text(): Promise<string>;
  /** The pieces' text; cancelling the stream stops the engine. */
  toReadableStream(): ReadableStream<string>;
  /** Set when the end is reached, by whatever reason (`aborted` included); undefined before. */
  readonly result: GenerateResult | undefined;
}

export interface PerplexityOptions {
  /** Tokens that are scored in each window of the text. No effect with `carryState`. Default 512. */
  readonly context?: number;
  /**
   * `false`: each window starts from the zero state. `true`: the state is carried over, so that every token is scored
   * with the whole text before it; recurrent models need no more memory for it, attention
   * {@link ModelInfo.stateBytesPerToken} for every token of the text, up to {@link ModelInfo.maxTokens}. Default false.
   */
  readonly carryState?: boolean;
  readonly onProgress?: (progress: PerplexityProgress) => void;
  /** Stops within 64 tokens; the promise rejects with an `AbortError`. */
  readonly signal?: AbortSignal;
}

export interface PerplexityProgress {
  /** Scored so far, and in all. */
  readonly tokens: number;
  readonly total: number;
  /** From 0 to 1. */
  readonly fraction: number;
  /** Of the tokens so far. */
  readonly perplexity: number;
}

export interface Perplexity {
  /** e^nll */
  readonly perplexity: number;
  /** Mean negative log likelihood of a scored token, natural logarithm. */
  readonly nll: number;
  /** Scored: all of the text but the first. */
  readonly tokens: number;
  /** Bits that the model needs for a byte of the text in UTF-8; undefined for token ids, which have none. */
  readonly bitsPerByte: number | undefined;
}

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface SessionOptions {
  /** Text put before everything else. */
  readonly system?: string;
  /** Earlier turns, oldest first. */
  readonly messages?: readonly Message[];
}

/**
 * A text and the model's memory of it: one buffer of fixed size, whatever the length. A session is a value: `clone`
 * branches it, `saveState` writes it down, and the original goes on untouched. One call at a time per session; a
 * second one while the first runs is refused with `invalid_argument`.
 */
export interface Session extends Disposable, AsyncDisposable {
  /** Tokens read and written since the zero state, as of the last finished call. */
  readonly position: number;
  /** Reads text into the state without writing anything. */
  append(prompt: Prompt, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Reads `prompt` (if any), then writes. All that was written is part of the state afterwards. */
  generate(prompt?: Prompt, options?: GenerateOptions): Generation;
  /** One turn of a conversation: the whole answer. */
  send(message: string, options?: GenerateOptions): Promise<string>;
  /** One turn of a conversation, as it is written. */
  sendStreaming(message: string, options?: GenerateOptions): Generation;
  /** An independent session with the same state. */
  clone(): Promise<Session>;
  /** The state as bytes, valid for this model only. */
  saveState(): Promise<Uint8Array>;
  /**
   * Replaces the state by a saved one, or by one that state tuning made (RWKV's .pth with `time_state`); of several by
   * their mean. Bytes of another model are refused with `state_mismatch`, and the old state stays.
   */
  loadState(state: Uint8Array | readonly Uint8Array[]): Promise<void>;
  /** Back to the state the session was created with. */
  reset(): Promise<void>;
  /** Frees the state. Later calls reject with `disposed`; a second dispose does nothing. */
  dispose(): Promise<void>;
}

export interface EncodeOptions {
  /** Adds the special tokens that the tokenizer puts around every text, if it has any. Default false. */
  readonly special?: boolean;
}

export interface Tokenizer extends Disposable, AsyncDisposable {
  readonly vocabularySize: number;
  encode(text: string, options?: EncodeOptions): Promise<Int32Array>;
  encodeBatch(texts: readonly string[], options?: EncodeOptions): Promise<Int32Array[]>;
  decode(ids: TokenIds): Promise<string>;
  countTokens(text: string, options?: EncodeOptions): Promise<number>;
  /** Decodes ids as they come; a character split over tokens is held back until it is whole. */
  streamDecoder(): StreamDecoder;
  /** Only needed for `Tokenizer.from`; a model's own tokenizer goes with the model. */
  dispose(): Promise<void>;
}

export interface StreamDecoder {
  push(id: number): Promise<string>;
  /** What is left, with U+FFFD for an incomplete character; the decoder is then fresh again. */
  flush(): Promise<string>;
}

export interface ModelInfo {
  /** As in config.json's model_type, for example `rwkv7` or `mamba`. */
  readonly architecture: string;
  readonly parameters: number;
  /** Size of the weights in the engine's memory. */
  readonly bytes: number;
  /** How the large matrices are stored: for example `4-bit`, `f16` or `f32`. */
  readonly quantisation: string;
  readonly layers: number;
  readonly width: number;
  readonly vocabularySize: number;
  /** Size of one session's state: for recurrent models the whole memory of a text, at any length. */
  readonly stateBytes: number;
  /** What every token adds to it: the keys and values of attention, 0 without. */
  readonly stateBytesPerToken: number;
  /** Longest text of a session in tokens, Infinity where nothing bounds it. */
  readonly maxTokens: number;
}

/** What runs the model, and why not something faster. */
export interface RuntimeInfo {
  readonly artefact: Artefact;
  readonly threads: number;
  readonly worker: boolean;
  readonly why: string;
}

export interface MemoryUse {
  /** Size of the engine's whole memory now (it never shrinks) and so also its peak. */
  readonly wasmBytes: number;
  /** Bytes in use by large buffers now, and the most there ever were. */
  readonly usedBytes: number;
  readonly peakBytes: number;
}

export interface SutraModel extends Disposable, AsyncDisposable {
  readonly info: ModelInfo;
  readonly runtime: RuntimeInfo;
  readonly tokenizer: Tokenizer;
  /** Resolves when the model can no longer be used: `worker_crashed`, or `disposed` after dispose(). Never rejects. */
  readonly lost: Promise<SutraErrorLike>;
  /** Writes on from a prompt, starting from the zero state. */
  generate(prompt: Prompt, options?: GenerateOptions): Generation;
  createSession(options?: SessionOptions): Promise<Session>;
  /** The last position's logits after reading `ids` from the zero state. */
  logits(ids: TokenIds): Promise<Float32Array>;
  /**
   * How well the model predicts a text: the values of `sutra perplexity`. The text is encoded once, without special
   * tokens. `invalid_argument` for fewer than two tokens, and for windows beyond {@link ModelInfo.maxTokens}.
   */
  perplexity(text: Prompt, options?: PerplexityOptions): Promise<Perplexity>;
  memory(): Promise<MemoryUse>;
  /** Stops everything and frees all memory. A second dispose does nothing. */
  dispose(): Promise<void>;
}

/** The shape of a SutraError; the class itself is exported by the package. */
export interface SutraErrorLike extends Error {
  readonly code: SutraErrorCode;
  /** What would help, in one sentence; empty when there is nothing to say. */
  readonly hint: string;
}

/** What this browser offers and which build that leads to. */
export interface Probe {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Threads that load() would use; 1 where shared memory does not really work. */
  readonly threads: number;
  readonly crossOriginIsolated: boolean;
  /** An estimate of the device's memory; 0 when the browser does not say. */
  readonly memoryBytes: number;
  /** What load() would choose; null when the engine cannot run here at all. */
  readonly artefact: Artefact | null;
  /** One sentence for a person. */
  readonly why: string;
}
