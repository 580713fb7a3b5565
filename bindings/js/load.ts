// Loading: from a model's files into the engine, chunk by chunk, with progress, checks and cancellation.
import { raise, raiseIfAborted, rethrow, SutraError } from './errors.ts';
import {
  configHint,
  type Folder,
  openFolder,
  openNeeded,
  openNeededTokenizer,
  openTokenizer,
  openWeights,
  readBytes,
  type WeightFiles,
} from './folder.ts';
import type { ModuleHeap, SharedModule } from './module_heap.ts';
import { yieldToEventLoop } from './platform.ts';
import type { LoadRequest, ReadRequest } from './protocol.ts';
import type { RunningEngine } from './start.ts';
import type { OpenFile } from './storage.ts';
import type { LoadProgress, Manifest, ModelInfo } from './types.ts';

export interface LoadedModel {
  readonly info: ModelInfo;
  readonly tokenizerVocabulary: number;
}

type Heap = ModuleHeap<SharedModule>;

export interface Context<Request extends ReadRequest> {
  readonly request: Request;
  readonly signal: AbortSignal;
  readonly report: (progress: LoadProgress) => void;
}

/** `engine` starts while the first files are on their way. */
export async function loadModel(engine: Promise<RunningEngine>, context: Context<LoadRequest>): Promise<LoadedModel> {
  return withoutStaleCache(context, async (loading) => {
    const folder = loading.folder;
    const { exact, activationBits, overrides, tokenizer: wantsTokenizer } = context.request;
    const [{ heap, runtime }, config, tokenizer, weights] = await settleAll([
      engine.then((started) => {
        started.heap.warmUp();
        return started;
      }),
      folder.open('config.json'),
      wantsTokenizer ? openTokenizer(folder) : undefined,
      openWeights(folder),
    ] as const);
    loading.expect([config, tokenizer, weights.first], weights.names);
    heap.loadBegin(exact, activationBits, runtime.threads);
    await loading.feedConfig(heap, config, overrides);
    if (tokenizer) heap.loadTokenizer(await loading.readSmall(heap, tokenizer));
    await loading.feedWeights(heap, weights);
    loading.report('load');
    await yieldToEventLoop();
    raiseIfAborted(context.signal);
    const model = withHint(config ? undefined : configHint, () => heap.loadFinish());
    loading.report('ready');
    return model;
  });
}

/** A tokenizer without a model; returns its vocabulary. */
export async function loadTokenizer(engine: Promise<RunningEngine>, context: Context<LoadRequest>): Promise<number> {
  return withoutStaleCache(context, async (loading) => {
    const [{ heap }, file] = await settleAll([engine, openNeededTokenizer(loading.folder)] as const);
    loading.expect([file], []);
    const vocabulary = heap.tokenizerLoad(await loading.readSmall(heap, file));
    loading.report('ready');
    return vocabulary;
  });
}

/** Promise.all, but when one fails the others have ended too, so that nothing goes on unobserved. */
export async function settleAll<T extends readonly unknown[]>(
  values: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(values);
  for (const result of results) if (result.status === 'rejected') rethrow(result.reason);
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as never;
}

/** If files from the cache turn out to be bad, they are forgotten and fetched once more. */
export async function withoutStaleCache<T>(
  context: Context<ReadRequest>,
  attempt: (loading: Loading) => Promise<T>,
): Promise<T> {
  const first = new Loading(context);
  try {
    return await attempt(first);
  } catch (error) {
    const isBad = error instanceof SutraError && ['truncated', 'malformed'].includes(error.code);
    if (!isBad || !(await first.forgetCached())) rethrow(error);
  }
  return attempt(new Loading(context));
}

/** After so many bytes it is known whether a file is read in order. */
const beginningBytes = 16;
/** Taken by the engine at once: after it another place may be wanted. */
const pieceBytes = 1 << 20;

/** Gives the engine a chunk of the file. False when it wants the file in places. */
function loadInOrder(heap: Heap, file: OpenFile, chunk: Uint8Array, at: number): boolean {
  for (let used = 0; used < chunk.length; ) {
    const { size, inOrder } = heap.loadWanted();
    if (!inOrder) return false;
    if (size === 0) raise('malformed', `${file.name} has more than the ${at + used} bytes that belong to it`);
    const piece = chunk.subarray(used, used + Math.min(size, chunk.length - used));
    heap.loadChunk(piece);
    used += piece.length;
  }
  return heap.loadWanted().inOrder;
}

/** An error of the engine about something that was not found, with what helps. */
export function withHint<T>(hint: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (hint !== undefined && error instanceof SutraError && error.code === 'not_found')
      raise(error.code, error.message, { hint, cause: error });
    return rethrow(error);
  }
}

export class Loading {
  readonly folder: Folder;
  readonly #manifest: Manifest;
  readonly #signal: AbortSignal;
  readonly #report: (progress: LoadProgress) => void;
  readonly #opened: OpenFile[] = [];
  #sizes = new Map<string, number | undefined>();
  #loaded = 0;
  #fraction = 0;
  #reportedAt = 0;

  constructor({ request, signal, report }: Context<ReadRequest>) {
    this.#manifest = request.manifest;
    this.#signal = signal;
    this.#report = report;
    this.folder = openFolder(request.source, { cache: request.cache, signal }, request.manifest);
    this.report('resolve');
  }

  /** What is to come: files whose size is known, and the names of all weight files. */
  expect(files: readonly (OpenFile | undefined)[], names: readonly string[]): void {
    for (const name of names) this.#sizes.set(name, this.#manifest[name]?.bytes);
    for (const file of files) if (file) this.#sizes.set(file.name, file.size);
  }

  async readSmall(heap: Heap, file: OpenFile): Promise<Uint8Array> {
    this.#open(file);
    const bytes = await readBytes(file);
    const expected = this.#expectedHash(file);
    if (expected !== undefined) heap.hash(bytes);
    await this.#verifyHash(heap, file, expected);
    this.#advance(file, bytes.length);
    return bytes;
  }

  async feedConfig(heap: Heap, config: OpenFile | undefined, overrides: readonly string[]): Promise<void> {
    heap.loadConfig(config ? await this.readSmall(heap, config) : new Uint8Array(), overrides);
  }

  /** Returns the files, where they were read in places. */
  async feedWeights(heap: Heap, { names, first }: WeightFiles): Promise<(Blob | undefined)[]> {
    const files: (Blob | undefined)[] = [];
    for (const name of names)
      files.push(await this.#feed(heap, name === first.name ? first : await openNeeded(this.folder, name)));
    return files;
  }

  async #feed(heap: Heap, file: OpenFile): Promise<Blob | undefined> {
    this.#open(file);
    const expected = this.#expectedHash(file);
    heap.loadFile(file.name, file.size);
    const kept: Blob[] = []; // the whole of a file that is read in places and comes from a server
    let at = 0;
    let inOrder = true;
    for await (const chunk of file.chunks()) {
      raiseIfAborted(this.#signal);
      if (expected !== undefined) heap.hash(chunk);
      if (!inOrder || at < beginningBytes) kept.push(new Blob([chunk as BlobPart]));
      if (inOrder) inOrder = loadInOrder(heap, file, chunk, at);
      at += chunk.length;
      this.#advance(file, chunk.length);
      if (!inOrder && file.blob && expected === undefined) break;
    }
    const blob = inOrder ? undefined : (file.blob ?? new Blob(kept));
    if (blob) await this.#loadInPlaces(heap, file, blob);
    heap.loadFileEnd();
    await this.#verifyHash(heap, file, expected);
    return blob;
  }

  async #loadInPlaces(heap: Heap, file: OpenFile, blob: Blob): Promise<void> {
    for (let wanted = heap.loadWanted(); wanted.size > 0; wanted = heap.loadWanted()) {
      raiseIfAborted(this.#signal);
      const end = wanted.offset + Math.min(wanted.size, pieceBytes);
      heap.loadChunk(new Uint8Array(await blob.slice(wanted.offset, end).arrayBuffer()));
      this.report('load', file.name);
    }
  }

  report(phase: LoadProgress['phase'], file?: string): void {
    const total = [...this.#sizes.values()].reduce<number>((sum, size) => sum + (size ?? 0), 0);
    // Shards of unknown size count like the known ones; building the model takes the last few percent.
    const known = [...this.#sizes.values()].filter((size) => size !== undefined).length;
    const estimate = known > 0 ? (total * this.#sizes.size) / known : 0;
    const done = phase === 'ready' ? 1 : estimate > 0 ? Math.min(0.97, (0.97 * this.#loaded) / estimate) : 0;
    this.#fraction = Math.max(this.#fraction, done);
    this.#reportedAt = performance.now();
    const base = {
      phase,
      loaded: this.#loaded,
      total: known === this.#sizes.size ? total : 0,
      fraction: this.#fraction,
    };
    this.#report(file === undefined ? base : { ...base, file });
  }

  /** False when nothing came from the cache. */
  async forgetCached(): Promise<boolean> {
    const cached = this.#opened.filter(({ fromCache }) => fromCache);
    await Promise.all(cached.map((file) => file.discard()));
    return cached.length > 0;
  }

  #open(file: OpenFile): void {
    raiseIfAborted(this.#signal);
    this.#opened.push(file);
    this.#sizes.set(file.name, file.size);
    const expected = this.#manifest[file.name]?.bytes;
    if (expected !== undefined && expected !== file.size)
      raise('malformed', `${file.name} must have ${expected} bytes, found ${file.size}`);
    this.report('download', file.name);
  }

  #advance(file: OpenFile, bytes: number): void {
    this.#loaded += bytes;
    if (performance.now() - this.#reportedAt > 50) this.report('download', file.name);
  }

  /** undefined when there is none, or the cached file had it when it was downloaded. */
  #expectedHash(file: OpenFile): string | undefined {
    return file.verified ? undefined : this.#manifest[file.name]?.sha256;
  }

  async #verifyHash(heap: Heap, file: OpenFile, expected: string | undefined): Promise<void> {
    if (expected === undefined) return;
    this.report('verify', file.name);
    const found = heap.hashFinish();
    if (found !== expected.toLowerCase())
      raise('malformed', `${file.name} must have the SHA-256 ${expected}, found ${found}`);
    await file.confirm();
  }
}
