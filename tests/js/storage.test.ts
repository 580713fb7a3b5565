import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { clearCache, download } from '../../bindings/js/storage.ts';
import { withCode } from './support.ts';

/** As much of the browser's Cache as is used, holding bytes. */
class FakeCache {
  readonly entries = new Map<string, Uint8Array>();
  /** Bytes after which it refuses more. */
  quota = Number.POSITIVE_INFINITY;

  async match(url: string) {
    const bytes = this.entries.get(url);
    return bytes && new Response(bytes as Uint8Array<ArrayBuffer>);
  }
  async put(url: string, response: Response) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    const used = [...this.entries.values()].reduce((sum, { length }) => sum + length, 0);
    if (used + bytes.length > this.quota) throw new DOMException('full', 'QuotaExceededError');
    this.entries.set(url, bytes);
  }
  async delete(url: string) {
    return this.entries.delete(url);
  }
}

const content = new Uint8Array(20 << 20).map((_, index) => (index * 31 + (index >> 9)) & 255);
const sha256 = createHash('sha256').update(content).digest('hex');
const requests: string[] = [];
let etag = '"v1"';
let breakAt = Number.POSITIVE_INFINITY;
let handle: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
let cache: FakeCache;
let url = '';

const server = createServer((request, response) => {
  requests.push(`${request.method} ${request.headers.range ?? ''}`.trim());
  if (handle?.(request, response)) return;
  const begin = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = { etag, 'content-type': 'application/octet-stream', 'content-length': content.length - begin };
  if (begin > 0) {
    const range = `bytes ${begin}-${content.length - 1}/${content.length}`;
    response.writeHead(206, { ...headers, 'content-range': range });
  } else {
    response.writeHead(200, headers);
  }
  if (request.method === 'HEAD') response.end();
  else if (breakAt < content.length) response.write(content.subarray(begin, breakAt), () => response.destroy());
  else response.end(content.subarray(begin));
});

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m/model.safetensors`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  cache = new FakeCache();
  Object.defineProperty(globalThis, 'caches', {
    configurable: true,
    value: { open: async () => cache, delete: async () => cache.entries.clear() },
  });
  requests.length = 0;
  etag = '"v1"';
  breakAt = Number.POSITIVE_INFINITY;
  handle = undefined;
});
afterEach(() => {
  delete (globalThis as { caches?: unknown }).caches;
});

const open = (options = {}) =>
  download(url, 'model.safetensors', { cache: true, signal: new AbortController().signal, ...options });

async function readAll(options = {}): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of (await open(options))!.chunks()) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

async function readBroken(): Promise<void> {
  breakAt = 10 << 20;
  await assert.rejects(readAll(), withCode('io', /broke off/));
  breakAt = Number.POSITIVE_INFINITY;
  requests.length = 0;
}

test('the second time nothing is downloaded', async () => {
  assert.deepEqual(await readAll(), Buffer.from(content));
  const again = (await open())!;
  assert.deepEqual([again.fromCache, again.size], [true, content.length]);
  assert.deepEqual(await readAll(), Buffer.from(content));
  assert.deepEqual(requests, ['GET', 'HEAD', 'HEAD']);
});

test('a manifest’s hash makes asking the server unnecessary', async () => {
  await readAll({ sha256 });
  requests.length = 0;
  await readAll({ sha256 });
  assert.deepEqual(requests, []);
});

test('a file is verified once it was confirmed, for that hash only', async () => {
  const file = (await open({ sha256 }))!;
  for await (const _ of file.chunks());
  assert.equal(file.verified, false);
  assert.equal((await open({ sha256 }))!.verified, false, 'complete, but nobody compared the hash');
  await file.confirm();
  const again = (await open({ sha256 }))!;
  assert.deepEqual([again.fromCache, again.verified], [true, true]);
  assert.equal((await open())!.verified, false, 'whoever asks for no hash');
  const other = (await open({ sha256: 'another' }))!;
  assert.deepEqual([other.fromCache, other.verified], [false, false]);
});

test('confirming what the cache did not keep leaves nothing behind', async () => {
  cache.quota = 9 << 20;
  const file = (await open({ sha256 }))!;
  for await (const _ of file.chunks());
  await file.confirm();
  assert.equal(cache.entries.size, 0);
});

test('the next part is read while one is being stored, and no more than one', async () => {
  const put = cache.put.bind(cache);
  let storing = 0;
  let atOnce = 0;
  let readMeanwhile = 0;
  cache.put = async (key, response) => {
    atOnce = Math.max(atOnce, ++storing);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await put(key, response);
    storing--;
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await open())!.chunks()) {
    chunks.push(chunk.slice());
    if (storing > 0) readMeanwhile += chunk.length;
  }
  assert.deepEqual(Buffer.concat(chunks), Buffer.from(content));
  assert.deepEqual([atOnce, storing], [1, 0]);
  assert.ok(readMeanwhile > 0);
  assert.deepEqual(await readAll(), Buffer.from(content));
});

test('a body that cannot be read into memory of ours is read all the same', async () => {
  await readAll();
  const match = cache.match.bind(cache);
  let streamed = 0;
  cache.match = async (key) => {
    const response = await match(key);
    if (!response) return undefined;
    const bytes = new Uint8Array(await response.arrayBuffer());
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      controller.enqueue(bytes);
      controller.close();
      streamed += bytes.length;
    };
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
  };
  assert.deepEqual(await readAll(), Buffer.from(content));
  assert.ok(streamed >= content.length);
});

test('a new version on the server replaces the cached one', async () => {
  await readAll();
  etag = '"v2"';
  assert.equal((await open())!.fromCache, false);
  await readAll();
  assert.equal((await open())!.fromCache, true);
});

test('without a connection the cached version stands', async () => {
  await readAll();
  handle = (request) => Boolean(request.socket.destroy());
  assert.deepEqual(await readAll(), Buffer.from(content));
});

test('an interrupted download is continued where its last whole part ended', async () => {
  await readBroken();
  assert.deepEqual(await readAll(), Buffer.from(content));
  assert.deepEqual(requests, ['HEAD', `GET bytes=${8 << 20}-`]);
  assert.equal((await open())!.fromCache, true);
});

test('a server without ranges starts the interrupted download again', async () => {
  await readBroken();
  handle = (request) => {
    delete request.headers.range;
    return false;
  };
  assert.deepEqual(await readAll(), Buffer.from(content));
});

test('an interrupted download of an old version starts again', async () => {
  await readBroken();
  etag = '"v2"';
  assert.deepEqual(await readAll(), Buffer.from(content));
  assert.deepEqual(requests, ['HEAD', 'GET']);
});

test('a full cache changes nothing but the next visit', async () => {
  cache.quota = 9 << 20;
  assert.deepEqual(await readAll(), Buffer.from(content));
  assert.equal(cache.entries.size, 0);
  assert.equal((await open())!.fromCache, false);
});

test('no cache at all changes nothing', async () => {
  delete (globalThis as { caches?: unknown }).caches;
  assert.deepEqual(await readAll(), Buffer.from(content));
  await clearCache();
});

test('cache: false neither reads nor writes', async () => {
  await readAll({ cache: false });
  assert.equal(cache.entries.size, 0);
});

test('a cached part of another size is found out and can be discarded', async () => {
  await readAll();
  const part = [...cache.entries.keys()].find((key) => key.endsWith('=1'))!;
  cache.entries.set(part, new Uint8Array(5));
  await assert.rejects(readAll(), withCode('truncated', /part 1 .* 5 bytes/));
  await (await open())!.discard();
  assert.equal(cache.entries.size, 0);
});

test('a file that is gone is gone, from the cache too', async () => {
  await readAll();
  handle = (_, response) => Boolean(response.writeHead(404).end());
  assert.equal(await open(), undefined);
  assert.equal(cache.entries.size, 0);
});

test('a web page instead of the file counts as not there', async () => {
  handle = (_, response) => Boolean(response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'));
  assert.equal(await open(), undefined);
});

test('a server’s error is an error with its status', async () => {
  handle = (_, response) => Boolean(response.writeHead(503).end());
  await assert.rejects(open(), withCode('io', /503/));
});

test('a server that does not say its size is read whole and not cached', async () => {
  handle = (_, response) => {
    response.write(content.subarray(0, 1000));
    response.end(content.subarray(1000, 1500));
    return true;
  };
  const file = (await open())!;
  assert.equal(file.size, 1500);
  assert.equal(cache.entries.size, 0);
});

test('clearCache forgets everything', async () => {
  await readAll();
  await clearCache();
  assert.equal(cache.entries.size, 0);
});

test('an abort ends the download', async () => {
  const controller = new AbortController();
  const file = (await open({ signal: controller.signal }))!;
  await assert.rejects(
    async () => {
      for await (const _ of file.chunks()) controller.abort();
    },
    { name: 'AbortError' },
  );
});
