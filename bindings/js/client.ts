// The package's entry points in the calling thread: loading, and the model that comes out of it.
import { Connection } from './connection.ts';
import { abortError, raise, raiseIfAborted, rethrow, SutraError } from './errors.ts';
import { TextGeneration } from './generation.ts';
import { atLeastOne, checkedIds, checkedPrompt, oneOf, wholeNumber } from './options.ts';
import { openPort } from './ports.ts';
import type { Calls, ConvertRequest, EngineRequest, LoadRequest, QuantizeRequest, ReadRequest } from './protocol.ts';
import { EngineSession, openingText } from './session.ts';
import { toPlainSource } from './source.ts';
import { EngineTokenizer } from './tokenizer.ts';
import type {
  Conversion,
  ConvertOptions,
  GenerateOptions,
  Generation,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  ModelSource,
  Perplexity,
  PerplexityOptions,
  Prompt,
  Quantization,
  QuantizeOptions,
  RuntimeInfo,
  Session,
  SessionOptions,
  SutraErrorLike,
  SutraModel,
  TokenIds,
  Tokenizer,
} from './types.ts';

const maxCalibrationBytes = 256 << 20;

/** Pieces that a text from the zero state may be ahead of its reader: nobody sees the state that it leaves. */
const freeWindow = 16;

/** Loads a model. It runs in a worker of its own until it is disposed. */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<SutraModel> {
  const connection = new Connection();
  return new EngineModel(connection, await request('load', connection, () => toLoadRequest(source, options), options));
}

/** Loads only a model's tokenizer. */
export async function loadTokenizer(source: ModelSource, options: LoadOptions = {}): Promise<Tokenizer> {
  const connection = new Connection();
  const only = { ...options, artefact: 'simd128', threads: 1 } as const;
  const { vocabularySize } = await request('loadTokenizer', connection, () => toLoadRequest(source, only), options);
  return new EngineTokenizer(connection, vocabularySize, true);
}

/** Writes a model in another format, in a worker of its own that ends with it. */
export async function convert(source: ModelSource, options: ConvertOptions = {}): Promise<Conversion> {
  const connection = new Connection();
  const conversion = await request('convert', connection, () => toConvertRequest(source, options), options);
  connection.close(disposedError());
  return conversion;
}

/** Quantises a model, in a worker of its own that ends with it. */
export async function quantize(source: ModelSource, options: QuantizeOptions = {}): Promise<Quantization> {
  const connection = new Connection();
  const quantization = await request('quantize', connection, () => toQuantizeRequest(source, options), options);
  connection.close(disposedError());
  return { ...quantization, toBlob: async () => (await import('./making.ts')).zip(quantization.files) };
}

/** Opens the connection and makes its first call; when that fails, nothing is left behind. */
async function request<K extends 'load' | 'loadTokenizer' | 'convert' | 'quantize'>(
  kind: K,
  connection: Connection,
  toWire: () => Promise<Calls[K][0]>,
  { signal, onProgress, worker = true }: Pick<LoadOptions, 'signal' | 'onProgress' | 'worker'>,
): Promise<Calls[K][1]> {
  raiseIfAborted(signal);
  // An abort does not wait for the engine: its thread ends at once.
  const abort = () => connection.close(new SutraError('cancelled', 'the work was stopped'));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const wire = await toWire();
    connection.attach(await openPort(connection, worker));
    return await connection.call(kind, wire, { onProgress });
  } catch (error) {
    connection.close(error instanceof SutraError ? error : new SutraError('internal', `${kind} failed`));
    return rethrow(signal?.aborted ? abortError() : error);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

async function toReadRequest(source: ModelSource, options: LoadOptions): Promise<ReadRequest> {
  const { cache = true, config = {}, tokenizer = true, manifest = {} } = options;
  const overrides = Object.entries(config).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return { source: await toPlainSource(source), cache, overrides, tokenizer, manifest };
}

async function toConvertRequest(source: ModelSource, options: ConvertOptions): Promise<ConvertRequest> {
  const { format = 'safetensors', dtype = 'f16' } = options;
  const dtypes = { safetensors: ['f32', 'f16'], gguf: ['f32', 'f16', 'q8_0', 'q4_0'] };
  oneOf('format', format, Object.keys(dtypes));
  oneOf(`dtype of ${format}`, dtype, dtypes[format]);
  return { ...(await toReadRequest(source, options)), format, dtype };
}

async function toQuantizeRequest(source: ModelSource, options: QuantizeOptions): Promise<QuantizeRequest> {
  const { calibration = '', bits = 4, groupSize = 128, calibrationSequences = 64, calibrationContext = 512 } = options;
  const text = typeof calibration === 'string' ? new Blob([calibration]) : calibration;
  const { method = text.size > 0 ? 'awq' : 'rtn' } = options;
  oneOf('method', method, ['awq', 'rtn', 'gptq']);
  oneOf('bits', bits, [3, 4, 8]);
  oneOf('groupSize', groupSize, [32, 64, 128]);
  if (method !== 'rtn' && text.size === 0)
    raise('invalid_argument', `the method ${method} needs a calibration text`, {
      hint: 'Give some hundred kilobytes of text like that the model is for, or choose the method rtn.',
    });
  if (text.size > maxCalibrationBytes)
    raise('too_large', `the calibration text has ${text.size} bytes, at most ${maxCalibrationBytes} are taken`);
  return {
    ...(await toReadRequest(source, options)),
    ...toEngineRequest(options),
    method,
    bits,
    groupSize,
    calibration: text,
    sequences: atLeastOne('calibrationSequences', calibrationSequences, 4096),
    context: atLeastOne('calibrationContext', calibrationContext, 65536),
    keepEmbeddings: options.keepEmbeddings === true,
    checkpoints: options.checkpoints === true,
    resume: options.resume,
  };
}

async function toLoadRequest(source: ModelSource, options: LoadOptions): Promise<LoadRequest> {
  const { exact = false, activationBits = 15 } = options;
  oneOf('activationBits', activationBits, [15, 8]);
  return { ...(await toReadRequest(source, options)), ...toEngineRequest(options), exact, activationBits };
}

function toEngineRequest({ artefact, threads, worker = true }: LoadOptions): EngineRequest {
  if (artefact !== undefined) oneOf('artefact', artefact, ['simd128', 'relaxed']);
  return {
    ...(artefact === undefined ? {} : { artefact }),
    ...(threads === undefined ? {} : { threads: atLeastOne('threads', threads, 64) }),
    ownThread: worker,
  };
}

/** Ends the threads of models that nobody holds any more. */
const registry = new FinalizationRegistry<Connection>((connection) => connection.closeWhenIdle(disposedError()));

function disposedError(): SutraError {
  return new SutraError('disposed', 'the model was disposed');
}

class EngineModel implements SutraModel {
  readonly info: ModelInfo;
  readonly runtime: RuntimeInfo;
  readonly tokenizer: Tokenizer;
  readonly lost: Promise<SutraErrorLike>;
  readonly #connection: Connection;

  constructor(connection: Connection, { info, runtime, tokenizerVocabulary }: Calls['load'][1]) {
    this.#connection = connection;
    this.info = info;
    this.runtime = runtime;
    this.tokenizer = new EngineTokenizer(connection, tokenizerVocabulary, false);
    this.lost = connection.lost;
    registry.register(this, connection, this);
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): Generation {
    const target = {
      connection: this.#connection,
      session: undefined,
      window: freeWindow,
      check: () => {},
      onEnd: () => {},
    };
    return new TextGeneration(target, prompt, options);
  }

  async createSession(options: SessionOptions = {}): Promise<Session> {
    const prompt = openingText(options);
    return new EngineSession(this.#connection, await this.#connection.call('createSession', { prompt }), prompt);
  }

  async logits(ids: TokenIds): Promise<Float32Array> {
    if (ids.length === 0) raise('invalid_argument', 'logits needs at least one token id');
    return this.#connection.call('logits', { ids: checkedIds(ids) });
  }

  async perplexity(text: Prompt, options: PerplexityOptions = {}): Promise<Perplexity> {
    const { context = 512, carryState = false, onProgress, signal } = options;
    wholeNumber('context', context, 2 ** 31 - 1);
    raiseIfAborted(signal);
    const request = { text: checkedPrompt(text), context, carryState };
    return this.#connection.call('perplexity', request, { onProgress, signal });
  }

  memory(): Promise<MemoryUse> {
    return this.#connection.call('memory', undefined);
  }

  async dispose(): Promise<void> {
    registry.unregister(this);
    this.#connection.close(disposedError());
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
