// Sources, options and broken files, on the small models of the repository.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type LoadOptions, load, type ModelSource, probe, SutraError, Tokenizer } from 'sutra-web';
import { goldenCases, readTensors, shippedModels } from './models.ts';

const { source: folder } = goldenCases[0]!;
const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
const good = () => ({ 'config.json': read('config.json'), 'model.safetensors': read('model.safetensors') });
const expected = readTensors(join(folder, 'expected.safetensors'));
const ids = expected.get('input_ids')!.values.slice(0, 9) as Int32Array;
const plain: LoadOptions = { tokenizer: false, exact: true, threads: 1 };

const withCode = (code: string, message = /./) => ({ name: 'SutraError', code, message });

async function logitsOf(source: ModelSource, options: LoadOptions = {}): Promise<Float32Array> {
  const model = await load(source, { ...plain, ...options });
  try {
    return await model.logits(ids);
  } finally {
    await model.dispose();
  }
}

test('every kind of source gives the same model', async () => {
  const files = good();
  const asFiles = Object.entries(files).map(([name, bytes]) => new File([bytes], name));
  const server = createServer((request, response) => {
    const bytes = files[request.url!.slice('/m/'.length) as keyof typeof files];
    if (bytes) response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`;
  try {
    const first = await logitsOf(`${folder}/`);
    for (const source of [folder, pathToFileURL(folder), asFiles, { files }, base, `${base}/model.safetensors`])
      assert.deepEqual(await logitsOf(source), first, String(source));
    assert.deepEqual(await logitsOf({ files }, { worker: false }), first);
  } finally {
    server.close();
  }
});

test('the weights may come in shards', async () => {
  const { 'config.json': config, 'model.safetensors': weights } = good();
  const view = new DataView(weights.buffer);
  const headerBytes = Number(view.getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(weights.subarray(8, 8 + headerBytes)).toString());
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const files: Record<string, Uint8Array> = { 'config.json': config };
  const weightMap: Record<string, string> = {};
  for (const [index, part] of [names.slice(0, 5), names.slice(5)].entries()) {
    const file = `model-0000${index + 1}-of-00002.safetensors`;
    const table: Record<string, unknown> = {};
    const data: Uint8Array[] = [];
    let at = 0;
    for (const name of part) {
      const [begin, end] = header[name].data_offsets;
      table[name] = { ...header[name], data_offsets: [at, at + end - begin] };
      data.push(weights.subarray(8 + headerBytes + begin, 8 + headerBytes + end));
      at += end - begin;
      weightMap[name] = file;
    }
    const json = Buffer.from(JSON.stringify(table));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(json.length));
    files[file] = Buffer.concat([size, json, ...data]);
  }
  files['model.safetensors.index.json'] = Buffer.from(JSON.stringify({ metadata: {}, weight_map: weightMap }));
  assert.deepEqual(await logitsOf({ files }), await logitsOf({ files: good() }));
});

test('progress comes from the worker and ends with ready', async () => {
  const seen: [string, number][] = [];
  await logitsOf({ files: good() }, { onProgress: ({ phase, fraction }) => seen.push([phase, fraction]) });
  assert.deepEqual(seen[0], ['resolve', 0]);
  assert.deepEqual(seen.at(-1), ['ready', 1]);
});

test('a truncated file is refused as truncated, wherever it ends', async () => {
  const files = good();
  const { length } = files['model.safetensors'];
  for (const end of [0, 4, 8, 100, length >> 1, length - 1]) {
    const cut = { ...files, 'model.safetensors': files['model.safetensors'].slice(0, end) };
    await assert.rejects(load({ files: cut }, plain), withCode('truncated'), `${end} bytes`);
  }
});

test('broken files have typed errors that name what is wrong', async () => {
  const files = good();
  const config = JSON.parse(Buffer.from(files['config.json']).toString());
  const json = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const cases: [string, Record<string, Uint8Array>, RegExp][] = [
    ['malformed', { 'config.json': json('{"a":') }, /config/],
    ['malformed', { 'config.json': json('<!doctype html>') }, /config/],
    [
      'shape_mismatch|malformed|not_found|invalid_argument',
      { 'config.json': json({ ...config, hidden_size: 12 }) },
      /./,
    ],
    ['unsupported', { 'config.json': json({ ...config, model_type: 'gpt2' }) }, /gpt2/],
    ['malformed', { 'model.safetensors': new Uint8Array(1000).fill(255) }, /./],
  ];
  for (const [codes, change, message] of cases)
    await assert.rejects(load({ files: { ...files, ...change } }, plain), (error: SutraError) => {
      assert.ok(error instanceof SutraError, String(error));
      assert.ok(codes.split('|').includes(error.code) || codes === 'malformed', `${error.code}: ${error.message}`);
      assert.match(error.message, message);
      return true;
    });
});

test('missing files are named, with what to add', async () => {
  const { 'config.json': config, 'model.safetensors': weights } = good();
  const missing = (files: Record<string, Uint8Array>, options: LoadOptions) => load({ files }, options);
  await assert.rejects(missing({ 'model.safetensors': weights }, plain), {
    ...withCode('not_found', /config\.json/),
    hint: /whole folder/,
  });
  await assert.rejects(missing({ 'config.json': config }, plain), withCode('not_found', /model\.safetensors/));
  await assert.rejects(load('/nowhere/at/all/', plain), withCode('not_found', /model\.safetensors/));
});

test('without a tokenizer ids work and text says what is missing', async () => {
  const model = await load({ files: good() }, { exact: true, threads: 1 });
  assert.equal(model.tokenizer.vocabularySize, 0);
  const written: number[] = [];
  for await (const { id, text } of model.generate(ids, { maxTokens: 4, temperature: 0 })) {
    written.push(id);
    assert.equal(text, '');
  }
  assert.equal(written.length, 4);
  await assert.rejects(model.generate('text').text(), withCode('not_found', /tokenizer/));
  await assert.rejects(model.tokenizer.encode('text'), withCode('not_found', /tokenizer/));
  await model.dispose();
});

test('a manifest is held to, in sizes and hashes', async () => {
  const files = good();
  const entry = (bytes: Uint8Array) => ({
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  });
  const manifest = {
    'config.json': entry(files['config.json']),
    'model.safetensors': entry(files['model.safetensors']),
  };
  await logitsOf({ files }, { manifest });
  const changed = Uint8Array.from(files['model.safetensors']);
  changed[changed.length - 1]! ^= 1;
  await assert.rejects(
    load({ files: { ...files, 'model.safetensors': changed } }, { ...plain, manifest }),
    withCode('malformed', /SHA-256/),
  );
});

test('a load can be stopped at any time', async () => {
  await assert.rejects(load({ files: good() }, { ...plain, signal: AbortSignal.abort() }), { name: 'AbortError' });
  for (const phase of ['resolve', 'download', 'load'] as const) {
    const controller = new AbortController();
    const onProgress = (progress: { phase: string }) => progress.phase === phase && controller.abort();
    const loading = load({ files: good() }, { ...plain, signal: controller.signal, onProgress });
    await assert.rejects(loading, { name: 'AbortError' }, phase);
  }
});

test('wrong options are refused before anything is started', async () => {
  for (const options of [
    { threads: 0 },
    { threads: 1.5 },
    { threads: 1000 },
    { artefact: 'avx2' as 'relaxed' },
    { activationBits: 4 as 8 },
  ])
    await assert.rejects(load({ files: good() }, { ...plain, ...options }), withCode('invalid_argument'));
});

test('in the calling thread there is one engine thread, and the reason is told', async () => {
  const model = await load({ files: good() }, { tokenizer: false, worker: false, threads: 2 });
  assert.deepEqual([model.runtime.worker, model.runtime.threads], [false, 1]);
  assert.match(model.runtime.why, /calling thread/);
  const session = await model.createSession();
  await session.append(ids);
  const copy = await session.clone();
  assert.equal(copy.position, ids.length);
  await model.dispose();
  await assert.rejects(session.append(ids), withCode('disposed'));
});

test('models live side by side', async () => {
  const models = await Promise.all([0, 1].map(() => load({ files: good() }, plain)));
  const [first, second] = await Promise.all(models.map((model) => model.logits(ids)));
  assert.deepEqual(first, second);
  await models[0]!.dispose();
  assert.deepEqual(await models[1]!.logits(ids), first);
  await models[1]!.dispose();
});

test('probe says what load would choose', async () => {
  const { artefact, threads, simd, relaxedSimd, why } = await probe();
  assert.deepEqual([artefact, simd, relaxedSimd], ['relaxed', true, true]);
  assert.notEqual(why, '');
  const model = await load({ files: good() }, { tokenizer: false });
  assert.deepEqual([model.runtime.artefact, model.runtime.threads], [artefact, threads]);
  await model.dispose();
});

test('a broken tokenizer is refused', async () => {
  const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
  try {
    for (const [content, code] of [
      ['{"model":', 'malformed'],
      ['{"model":{"type":"Unigram","vocab":[]}}', 'unsupported'],
    ] as const) {
      writeFileSync(join(root, 'tokenizer.json'), content);
      await assert.rejects(Tokenizer.from(`${root}/`), withCode(code));
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('a tokenizer that does not belong to the model is refused', { skip: shippedModels.length === 0 }, async () => {
  const tokenizer = new Uint8Array(readFileSync(join(shippedModels[0]!, 'tokenizer.json')));
  await assert.rejects(load({ files: { ...good(), 'tokenizer.json': tokenizer } }, { threads: 1 }), {
    name: 'SutraError',
  });
});
