// Downloads that survive an interruption, over the browser's Cache interface.
//
// A file is kept as a record (its size and what the server calls its version) and parts of a fixed size. A part is
// stored only when all its bytes have arrived, so an entry is never broken, only incomplete, and an incomplete one is
// continued with a range request. Without a cache (Node, private windows, no space left) everything works uncached.
import { isAbort, raise, rethrow, SutraError } from './errors.ts';

export interface OpenFile {
  readonly name: string;
  readonly size: number;
  readonly fromCache: boolean;
  /** Whether these bytes were compared with the manifest's hash when they were downloaded. */
  readonly verified: boolean;
  /** The bytes in order; can be read once. A chunk's bytes stand until the next one is asked for. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** The same bytes in any order, where they can be had without reading all of them. */
  readonly blob?: Blob;
  /** Notes that all bytes had the manifest's hash, so that it need not be computed again. */
  confirm(): Promise<void>;
  /** Forgets what is cached of it. */
  discard(): Promise<void>;
}

export interface DownloadOptions {
  readonly cache: boolean;
  readonly signal: AbortSignal;
  /** From a manifest: makes asking the server for its version unnecessary. */
  readonly sha256?: string | undefined;
}

interface FileRecord {
  readonly bytes: number;
  readonly version: string;
  /** From the manifest of the download. */
  readonly sha256?: string | undefined;
  readonly verified?: boolean;
}

const cacheName = 'sutra-models-1';
const partBytes = 8 << 20;
const chunkBytes = 1 << 20;

/** Forgets all cached model files. */
export async function clearCache(): Promise<void> {
  await globalThis.caches?.delete(cacheName).catch(() => false);
}

/** Opens a file on a server; undefined when it is not there. */
export async function download(url: string, name: string, options: DownloadOptions): Promise<OpenFile | undefined> {
  const entry = options.cache ? await CacheEntry.open(url) : undefined;
  const record = await entry?.read();
  if (!entry || !record) return openResponse(url, name, entry, options);
  const state = await isCurrent(url, record, options);
  if (state !== 'current') {
    await entry.remove();
    return state === 'gone' ? undefined : openResponse(url, name, entry, options);
  }
  const parts = await entry.countParts(record);
  if (parts * partBytes < record.bytes) return resume(url, name, entry, record, parts, options);
  return {
    name,
    size: record.bytes,
    fromCache: true,
    verified: record.verified === true && record.sha256 === options.sha256,
    chunks: () => entry.readParts(record, parts),
    confirm: () => entry.confirm(record),
    discard: () => entry.remove(),
  };
}

/** Asks the server whether the cached version still stands. Without a connection it does. */
async function isCurrent(
  url: string,
  record: FileRecord,
  { signal, sha256 }: DownloadOptions,
): Promise<'current' | 'changed' | 'gone'> {
  if (sha256 !== undefined) return record.sha256 === sha256 ? 'current' : 'changed';
  const response = await fetch(url, { method: 'HEAD', cache: 'no-cache', signal }).catch((error) =>
    isAbort(error) ? rethrow(error) : undefined,
  );
  if (response?.status === 404 || response?.status === 410) return 'gone';
  if (!response?.ok) return 'current';
  return versionOf(response) === record.version ? 'current' : 'changed';
}

function versionOf({ headers }: Response): string {
  return headers.get('etag') ?? headers.get('last-modified') ?? headers.get('content-length') ?? '';
}

async function openResponse(
  url: string,
  name: string,
  entry: CacheEntry | undefined,
  options: DownloadOptions,
): Promise<OpenFile | undefined> {
  const response = await request(url, name, options.signal);
  if (!response) return undefined;
  const size = announcedSize(response);
  // Without a size known beforehand there is nothing to check parts against: read it whole, uncached.
  if (size === undefined || !response.body) return fromBlob(name, await response.blob());
  const record = { bytes: size, version: versionOf(response), sha256: options.sha256 };
  return fromNetwork(name, response, entry, record, 0);
}

async function resume(
  url: string,
  name: string,
  entry: CacheEntry,
  record: FileRecord,
  parts: number,
  options: DownloadOptions,
): Promise<OpenFile | undefined> {
  const begin = parts * partBytes;
  const response = await request(url, name, options.signal, { range: `bytes=${begin}-` });
  const range = response?.headers.get('content-range');
  if (response?.status === 206 && range === `bytes ${begin}-${record.bytes - 1}/${record.bytes}`)
    return fromNetwork(name, response, entry, record, parts);
  await response?.body?.cancel();
  await entry.remove();
  return openResponse(url, name, entry, options);
}

/** undefined when the file is not there. Servers of single-page apps answer with their page instead of 404. */
async function request(
  url: string,
  name: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<Response | undefined> {
  const response = await fetch(url, { signal, headers }).catch((error) =>
    isAbort(error) ? rethrow(error) : raise('io', `${name} could not be fetched from ${url}`, { cause: error }),
  );
  const isPage = response.headers.get('content-type')?.startsWith('text/html') === true;
  if (response.ok && !isPage) return response;
  await response.body?.cancel();
  if (response.status === 404 || response.status === 410 || isPage) return undefined;
  return raise('io', `${name} could not be fetched from ${url}: the server answered ${response.status}`);
}

function announcedSize({ headers }: Response): number | undefined {
  if (headers.has('content-encoding')) return undefined; // then the length is that of the packed bytes
  const length = Number(headers.get('content-length') ?? Number.NaN);
  return Number.isSafeInteger(length) ? length : undefined;
}

export function fromBlob(name: string, blob: Blob): OpenFile {
  return {
    name,
    size: blob.size,
    fromCache: false,
    verified: false,
    chunks: () => readStream(blob.stream()),
    blob,
    confirm: async () => {},
    discard: async () => {},
  };
}

function fromNetwork(
  name: string,
  response: Response,
  entry: CacheEntry | undefined,
  record: FileRecord,
  cachedParts: number,
): OpenFile {
  async function* chunks() {
    if (entry && cachedParts > 0) yield* entry.readParts(record, cachedParts);
    const store = entry ? new PartWriter(entry, record, cachedParts) : undefined;
    let at = cachedParts * partBytes;
    try {
      for await (const chunk of readStream(response.body!)) {
        at += chunk.length;
        await store?.add(chunk);
        yield chunk;
      }
    } catch (error) {
      if (isAbort(error) || error instanceof SutraError) rethrow(error);
      raise('io', `the download of ${name} broke off at ${at} of ${record.bytes} bytes`, { cause: error });
    } finally {
      await store?.settle();
    }
    if (at !== record.bytes)
      raise('truncated', `${name} has ${record.bytes} bytes as its server says, but ${at} arrived`);
    await store?.finish();
  }
  return {
    name,
    size: record.bytes,
    fromCache: cachedParts > 0,
    verified: false,
    chunks,
    confirm: async () => entry?.confirm(record),
    discard: async () => entry?.remove(),
  };
}

/** Not `for await` on the stream itself: WebKit has no iteration of streams. */
async function* readStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = intoOneBuffer(stream) ?? stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Reads into the same memory again and again: new memory for every chunk costs a third of the time of reading from the
 * cache. undefined for streams that are not of bytes, and where the browser has no such readers.
 */
function intoOneBuffer(stream: ReadableStream<Uint8Array>) {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
  let buffer = new ArrayBuffer(chunkBytes);
  return {
    async read() {
      const result = await reader.read(new Uint8Array(buffer));
      if (result.value) buffer = result.value.buffer;
      return result;
    },
    cancel: () => reader.cancel(),
  };
}

/**
 * Collects bytes into parts and stores each whole part while the next one is collected. Stops for good when the browser
 * refuses one.
 */
class PartWriter {
  readonly #entry: CacheEntry;
  readonly #record: FileRecord;
  #buffer: Uint8Array<ArrayBuffer>;
  #part: number;
  #filled = 0;
  #works = true;
  #storing: Promise<void> = Promise.resolve();

  constructor(entry: CacheEntry, record: FileRecord, part: number) {
    this.#entry = entry;
    this.#record = record;
    this.#part = part;
    this.#buffer = new Uint8Array(Math.min(partBytes, record.bytes));
  }

  async add(chunk: Uint8Array): Promise<void> {
    for (let begin = 0; this.#works && begin < chunk.length; ) {
      const piece = chunk.subarray(begin, begin + this.#buffer.length - this.#filled);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      begin += piece.length;
      if (this.#filled === this.#buffer.length) await this.#store();
    }
  }

  async finish(): Promise<void> {
    if (this.#filled > 0) await this.#store();
    await this.settle();
  }

  /** Waits until nothing is being stored any more. */
  async settle(): Promise<void> {
    await this.#storing;
    if (!this.#works) await this.#entry.remove();
  }

  /** One part at a time: a slow disk slows the download down instead of filling the memory. */
  async #store(): Promise<void> {
    await this.#storing;
    if (!this.#works) return;
    // A copy, which the response makes at once.
    const response = new Response(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
    this.#storing = this.#entry.writePart(this.#record, this.#part++, response).catch(() => {
      this.#works = false;
    });
  }
}

class CacheEntry {
  readonly #cache: Cache;
  readonly #url: string;

  private constructor(cache: Cache, url: string) {
    this.#cache = cache;
    this.#url = url;
  }

  static async open(url: string): Promise<CacheEntry | undefined> {
    try {
      return new CacheEntry(await globalThis.caches.open(cacheName), url);
    } catch {
      return undefined;
    }
  }

  async read(): Promise<FileRecord | undefined> {
    const response = await this.#cache.match(this.#key('record'));
    return (await response?.json().catch(() => undefined)) as FileRecord | undefined;
  }

  async #write(record: FileRecord): Promise<void> {
    await this.#cache.put(this.#key('record'), new Response(JSON.stringify(record)));
  }

  async writePart(record: FileRecord, part: number, bytes: Response): Promise<void> {
    if (part === 0) await this.#write(record);
    await this.#cache.put(this.#key(String(part)), bytes);
  }

  /** Marks a file that is still here as verified. */
  async confirm(record: FileRecord): Promise<void> {
    if (await this.read()) await this.#write({ ...record, verified: true }).catch(() => {});
  }

  /** How many parts, counted from the first, are there without a gap. */
  async countParts({ bytes }: FileRecord): Promise<number> {
    const all = Math.ceil(bytes / partBytes);
    for (let part = 0; part < all; part++) {
      if (!(await this.#cache.match(this.#key(String(part))))) return part;
    }
    return all;
  }

  async *readParts({ bytes }: FileRecord, parts: number): AsyncGenerator<Uint8Array> {
    for (let part = 0; part < parts; part++) {
      const response = await this.#cache.match(this.#key(String(part)));
      const expected = Math.min(partBytes, bytes - part * partBytes);
      let found = 0;
      if (response?.body)
        for await (const chunk of readStream(response.body)) {
          found += chunk.length;
          yield chunk;
        }
      if (found !== expected)
        raise('truncated', `the cached part ${part} of ${this.#url} has ${found} bytes instead of ${expected}`);
    }
  }

  async remove(): Promise<void> {
    const record = await this.read();
    await this.#cache.delete(this.#key('record'));
    const parts = Math.ceil((record?.bytes ?? 0) / partBytes);
    for (let part = 0; part < parts; part++) await this.#cache.delete(this.#key(String(part)));
  }

  #key(what: string): string {
    const url = new URL(this.#url);
    url.searchParams.set('sutra-cache', what);
    return url.href;
  }
}
