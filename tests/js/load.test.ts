import assert from 'node:assert/strict';
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

test('a missing file is not_found, named, with what to add', async () => {
  for (const name of Object.keys(toyFiles)) {
    const { [name as keyof typeof toyFiles]: _, ...rest } = toyFiles;
    await assert.rejects(loadFiles(rest), { ...withCode('not_found', new RegExp(name)), hint: /Add/ });
  }
});

test('without a tokenizer only if asked for', async () => {
  const { 'tokenizer.json': _, ...rest } = toyFiles;
  const { engine } = await loadFiles(rest, { tokenizer: false });
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

test('weights in another format alone are unsupported', async () => {
  await assert.rejects(loadFiles({ 'config.json': '{}', 'model.gguf': 'x' }), withCode('unsupported', /model\.gguf/));
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
