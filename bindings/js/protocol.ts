// The messages between the calling thread (client) and the engine's thread (worker). Types only.
import type { ErrorData } from './errors.ts';
import type {
  Artefact,
  Conversion,
  ConvertFormat,
  ConvertOptions,
  EncodeOptions,
  GenerateOptions,
  LoadProgress,
  Manifest,
  MemoryUse,
  ModelInfo,
  Perplexity,
  PerplexityOptions,
  PerplexityProgress,
  Prompt,
  Quantization,
  QuantizeMethod,
  QuantizeOptions,
  RuntimeInfo,
  StopReason,
  TextPiece,
  TokenIds,
} from './types.ts';

/** A model source in a form that both threads can hold. `base` ends with '/'. */
export type PlainSource =
  | { readonly kind: 'url'; readonly base: string; readonly file?: string }
  | { readonly kind: 'files'; readonly files: readonly { readonly name: string; readonly blob: Blob }[] };

export interface EngineRequest {
  readonly artefact?: Artefact;
  readonly threads?: number;
  /** Whether the engine has a thread of its own: only there may it wait for its helpers. */
  readonly ownThread: boolean;
}

/** Which files are read, and how. */
export interface ReadRequest {
  readonly source: PlainSource;
  readonly cache: boolean;
  /** "key=value", the value as JSON. */
  readonly overrides: readonly string[];
  readonly tokenizer: boolean;
  readonly manifest: Manifest;
}

export interface LoadRequest extends ReadRequest, EngineRequest {
  readonly exact: boolean;
  readonly activationBits: 15 | 8;
}

export interface ConvertRequest extends ReadRequest {
  readonly format: ConvertFormat;
  readonly dtype: NonNullable<ConvertOptions['dtype']>;
}

export interface QuantizeRequest extends ReadRequest, EngineRequest {
  readonly method: QuantizeMethod;
  readonly bits: NonNullable<QuantizeOptions['bits']>;
  readonly groupSize: NonNullable<QuantizeOptions['groupSize']>;
  readonly keepEmbeddings: boolean;
  readonly calibration: Blob;
  readonly sequences: number;
  readonly context: number;
  readonly checkpoints: boolean;
  readonly resume: Blob | undefined;
}

export type WireGenerateOptions = Required<Omit<GenerateOptions, 'signal' | 'stop'>> & {
  readonly stop: readonly string[];
};

export interface SessionReply {
  readonly session: number;
  readonly position: number;
}

export interface GenerateReply {
  readonly stopReason: StopReason;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly prefillTokensPerS: number;
  readonly decodeTokensPerS: number;
  readonly position: number;
}

/** Every call with its request and its reply. */
export interface Calls {
  load: [
    LoadRequest,
    { readonly info: ModelInfo; readonly runtime: RuntimeInfo; readonly tokenizerVocabulary: number },
  ];
  loadTokenizer: [LoadRequest, { readonly vocabularySize: number }];
  convert: [ConvertRequest, Conversion];
  quantize: [QuantizeRequest, Omit<Quantization, 'toBlob'>];
  createSession: [{ readonly prompt: string }, SessionReply];
  append: [{ readonly session: number; readonly prompt: Prompt }, SessionReply];
  /** Without a session: from the zero state, which is then thrown away. `window`: pieces ahead of the reader. */
  generate: [
    {
      readonly session: number | undefined;
      readonly prompt: Prompt;
      readonly options: WireGenerateOptions;
      readonly window: number;
    },
    GenerateReply,
  ];
  clone: [{ readonly session: number }, SessionReply];
  save: [{ readonly session: number }, Uint8Array];
  restore: [{ readonly session: number; readonly states: readonly Uint8Array[] }, SessionReply];
  reset: [{ readonly session: number; readonly prompt: string }, SessionReply];
  disposeSession: [{ readonly session: number }, undefined];
  logits: [{ readonly ids: TokenIds }, Float32Array];
  perplexity: [{ readonly text: Prompt } & Required<Pick<PerplexityOptions, 'context' | 'carryState'>>, Perplexity];
  encode: [{ readonly texts: readonly string[]; readonly options: EncodeOptions }, Int32Array[]];
  decode: [{ readonly ids: TokenIds }, string];
  createDecoder: [undefined, number];
  /** null flushes. */
  stepDecoder: [{ readonly decoder: number; readonly id: number | null }, string];
  disposeDecoder: [{ readonly decoder: number }, undefined];
  memory: [undefined, MemoryUse];
}

export type CallKind = keyof Calls;

/** What a call says on its way. */
export type ProgressOf<K extends CallKind> = K extends 'perplexity' ? PerplexityProgress : LoadProgress;

export type CallCommand = {
  [K in CallKind]: { readonly kind: K; readonly call: number; readonly request: Calls[K][0] };
}[CallKind];

export type Command =
  | CallCommand
  /** The caller no longer wants this call's work. It is still answered. */
  | { readonly kind: 'cancel'; readonly call: number }
  /** The reader has used `count` pieces of this call's text so far. */
  | { readonly kind: 'pull'; readonly call: number; readonly count: number };

export type Reply =
  | { readonly kind: 'done'; readonly call: number; readonly value: Calls[CallKind][1] }
  | { readonly kind: 'failed'; readonly call: number; readonly error: ErrorData }
  | { readonly kind: 'progress'; readonly call: number; readonly progress: ProgressOf<CallKind> }
  | { readonly kind: 'piece'; readonly call: number; readonly piece: TextPiece }
  /** The engine trapped: nothing in this thread can be used any more. */
  | { readonly kind: 'crashed'; readonly message: string };
