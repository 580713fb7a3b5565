import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { LoadRequest } from '../../bindings/js/protocol.ts';
import type { LoadProgress } from '../../bindings/js/types.ts';
import { asAbort, connect, loadRequest, plainFiles, toyFiles, withCode } from './support.ts';

async function load(changes: Partial<LoadRequest> = {}) {
  const parts = connect();
  const progress: LoadProgress[] = [];
  const onProgress = (p: LoadProgress) => progress.push(p);
  const model = await parts.connection.call('load', loadRequest(changes), { onProgress });
  return { ...parts, model, progress };
}
const loadFiles = (files: Record<string, string | Uint8Array>, changes: Partial<LoadRequest> = {}) =>
  load({ source: plainFiles(files), ...changes });

test('every file goes into the engine whole and in order', async () => {
  const { engine, model } = await load();
  assert.deepEqual(engine.files, [
    { name: 'config.json', bytes: 2, fed: 2 },
    { name: 'tokenizer.json', bytes: 2, fed: 2 },
    { name: 'model.safetensors', bytes: 3_000_000, fed: 3_000_000 },
  ]);
  assert.equal(model.info.architecture, 'toy');
  assert.equal(model.info.quantisation, 'letters');
  assert.equal(engine.threads, 1);
});

test('progress never falls, knows its total, and ends with ready at 1', async () => {
  const { progress } = await load();
  assert.equal(progress[0]!.phase, 'resolve');
  assert.deepEqual(progress.at(-1), { phase: 'ready', loaded: 3_000_004, total: 3_000_004, fraction: 1 });
  const fractions = progress.map(({ fraction }) => fraction);
  assert.deepEqual(
    fractions,
    [...fractions].sort((a, b) => a - b),
  );
  assert.equal(progress.filter(({ phase }) => phase === 'ready').length, 1);
});

test('progress does not fall when a shard turns out to be larger than the ones before', async () => {
  const files = {
    ...shards({ x: 'model-1.safetensors', y: 'model-2.safetensors' }),
    'model-2.safetensors': new Uint8Array(3_000_000),
  };
  const { progress } = await loadFiles(files);
  const fractions = progress.map(({ fraction }) => fraction);
  assert.deepEqual(
    fractions,
    [...fractions].sort((a, b) => a - b),
  );
  assert.equal(progress.find(({ file }) => file === 'model-1.safetensors')!.total, 0, 'unknown before all are open');
});

test('missing weights are not_found, named, with what to add', async () => {
  const { 'model.safetensors': _, ...rest } = toyFiles;
  await assert.rejects(loadFiles(rest), { ...withCode('not_found', /model\.safetensors/), hint: /Add/ });
});

test('without config.json the engine decides, and its refusal says what to add', async () => {
  const { 'config.json': _, ...rest } = toyFiles;
  const { engine } = await loadFiles(rest);
  assert.equal(engine.files.find(({ name }) => name === 'config.json')!.bytes, 0);
  const { connection, engine: strict } = connect();
  strict.failures.set('_sutra_load_finish', ['not_found', 'config.json was not given']);
  await assert.rejects(connection.call('load', loadRequest({ source: plainFiles(rest) })), {
    ...withCode('not_found', /config\.json was not given/),
    hint: /config\.json/,
  });
});

test('a file that is read in places is given in places, from disk and from a server', async () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const expected = [...bytes.slice(0, 16), ...bytes.slice(96), ...bytes.slice(16, 96)];
  const { engine } = await loadFiles({ 'model.pth': bytes });
  assert.deepEqual(engine.given, expected);

  const server = createServer((request, response) => {
    if (!request.url!.endsWith('.pth')) return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 5));
    return setTimeout(() => response.end(bytes.subarray(5)), 20);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const source = { kind: 'url' as const, base: `http://localhost:${port}/`, file: 'model.pth' };
    assert.deepEqual((await load({ source })).engine.given, expected);
  } finally {
    server.close();
  }
});

test('a model without a tokenizer loads; tokenizer: false does not even look for one', async () => {
  const { 'tokenizer.json': _, ...rest } = toyFiles;
  await loadFiles(rest);
  const { engine } = await loadFiles(toyFiles, { tokenizer: false });
  assert.deepEqual(
    engine.files.map(({ name }) => name),
    ['config.json', 'model.safetensors'],
  );
});

const shards = (weightMap: unknown) => ({
  'config.json': '{}',
  'tokenizer.json': '{}',
  'model.safetensors.index.json': JSON.stringify({ weight_map: weightMap }),
  'model-2.safetensors': 'bb',
  'model-1.safetensors': 'aaa',
});

test('shards are read once each, in the order of their names', async () => {
  const { engine } = await loadFiles(
    shards({ x: 'model-2.safetensors', y: 'model-1.safetensors', z: 'model-2.safetensors' }),
  );
  assert.deepEqual(engine.files.slice(2), [
    { name: 'model-1.safetensors', bytes: 3, fed: 3 },
    { name: 'model-2.safetensors', bytes: 2, fed: 2 },
  ]);
});

test('an index that names other folders, other things or nothing is malformed', async () => {
  for (const map of [
    { x: '../secret.safetensors' },
    { x: 'a/b.safetensors' },
    { x: 7 },
    { x: 'run.js' },
    {},
    null,
    'x',
  ])
    await assert.rejects(loadFiles(shards(map)), withCode('malformed', /index\.json/), JSON.stringify(map));
  const broken = { ...shards({}), 'model.safetensors.index.json': '{"weight_map":' };
  await assert.rejects(loadFiles(broken), withCode('malformed', /not JSON/));
});

test('a shard that the index names and nobody gave is not_found', async () => {
  await assert.rejects(loadFiles(shards({ x: 'model-3.safetensors' })), withCode('not_found', /model-3/));
});

test('a single weight file may have any name', async () => {
  const { engine } = await loadFiles({ 'config.json': '{}', 'tokenizer.json': '{}', 'best.safetensors': 'abc' });
  assert.equal(engine.files[2]!.name, 'best.safetensors');
});

test('of one model in several formats the best is read', async () => {
  const { engine } = await loadFiles({ 'x.pth': 'old', 'x.safetensors': 'abc', 'x.gguf': 'q', 'README.md': '#' });
  assert.deepEqual(
    engine.files.map(({ name }) => name),
    ['config.json', 'x.safetensors'],
  );
});

test('sizes and hashes of a manifest must hold', async () => {
  const good = { 'config.json': { bytes: 2, sha256: `sum-${123 + 125}` }, 'model.safetensors': { sha256: 'sum-0' } };
  const { progress } = await load({ manifest: good });
  assert.ok(progress.some(({ phase, file }) => phase === 'verify' && file === 'model.safetensors'));
  await assert.rejects(load({ manifest: { 'config.json': { bytes: 3 } } }), withCode('malformed', /3 bytes, found 2/));
  await assert.rejects(
    load({ manifest: { 'model.safetensors': { sha256: 'sum-1' } } }),
    withCode('malformed', /SHA-256/),
  );
});

test('an error of the engine ends the load', async () => {
  const { connection, engine } = connect();
  engine.failures.set('_sutra_load_chunk', ['shape_mismatch', "tensor 'emb' must be [4, 8], found [4, 7]"]);
  await assert.rejects(connection.call('load', loadRequest()), withCode('shape_mismatch', /emb/));
});

test('a load can be stopped on its way', async () => {
  const { connection, engine } = connect();
  const controller = new AbortController();
  const loading = connection.call('load', loadRequest(), {
    signal: controller.signal,
    onProgress: ({ phase }) => phase === 'download' && controller.abort(),
  });
  await assert.rejects(loading, asAbort);
  assert.ok((engine.files[2]?.fed ?? 0) < 3_000_000);
});

test('a small file that is far too large is refused before it is read', async () => {
  const huge = new Blob([new Uint8Array(65 << 20)]);
  const source = {
    kind: 'files' as const,
    files: [...plainFiles(toyFiles).files, { name: 'config.json', blob: huge }],
  };
  await assert.rejects(load({ source }), withCode('too_large', /config\.json/));
});
