// Quantising in the package: the result is the native program's byte for byte, loads, and can be stopped and gone on with.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { convert, type LoadProgress, load, type Quantization, type QuantizeOptions, quantize } from 'sutra-web';
import { useBrowser } from './browser.ts';
import { shippedModels } from './models.ts';

const project = join(import.meta.dirname, '../..');
const program = join(project, 'build/sutra');
const needsProgram = existsSync(program) ? false : 'build/sutra is not built';
/** Plain English that is at hand; quality is not what is tested here. */
const calibration = ['CONTRIBUTING.md', 'ARCHITECTURE.md']
  .map((name) => readFileSync(join(project, name), 'utf8'))
  .join('\n');
const few = { calibration, calibrationSequences: 4, calibrationContext: 128 } as const;

/** The shipped models as float16: there is nothing else to quantise in the project. */
const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
const sources = shippedModels.map((folder) => join(root, basename(folder)));
const [mamba, rwkv7] = ['fairy-mamba', 'fairy-rwkv7'].map((name) => join(root, name)) as [string, string];
before(async () => {
  for (const [index, source] of sources.entries()) {
    mkdirSync(source);
    const { files } = await convert(shippedModels[index]!);
    for (const [name, blob] of Object.entries(files)) writeFileSync(join(source, name), await bytesOf(blob));
  }
  writeFileSync(join(root, 'text.txt'), calibration);
});
after(() => rmSync(root, { recursive: true }));

const bytesOf = async (blob: Blob | undefined) => Buffer.from(await blob!.arrayBuffer());
const onPage = useBrowser([['/float/', root]]);

async function assertSame(found: Quantization, expected: Quantization): Promise<void> {
  assert.deepEqual(Object.keys(found.files).sort(), Object.keys(expected.files).sort());
  for (const [name, blob] of Object.entries(expected.files))
    assert.ok((await bytesOf(found.files[name])).equals(await bytesOf(blob)), name);
  assert.deepEqual(found.report, expected.report);
}

for (const [index, source] of sources.entries())
  for (const [method, bits, groupSize] of [
    ['rtn', 4, 128],
    ['rtn', 8, 32],
    ['awq', 4, 64],
    ['awq', 3, 128],
    ['gptq', 4, 128],
  ] as const)
    test(`${basename(source)} by ${method} in ${bits} bits, groups of ${groupSize}, is what the native program writes`, {
      skip: needsProgram,
    }, async () => {
      const out = join(root, `out-${index}`);
      const text = ['--calibration', join(root, 'text.txt'), '--calibration-sequences', '4', '--ctx', '128'];
      const json = execFileSync(
        program,
        [
          ...['quantize', '--model', source, '--out', out, '--method', method, '--bits', `${bits}`, '--json'],
          ...['--group-size', `${groupSize}`, ...(method === 'rtn' ? [] : text)],
        ],
        { stdio: ['ignore', 'pipe', 'ignore'] },
      );
      const options = { method, bits, groupSize } as const;
      const { files, report } = await quantize(source, method === 'rtn' ? options : { ...options, ...few });
      assert.deepEqual(Object.keys(files).sort(), readdirSync(out).sort());
      for (const name of readdirSync(out)) {
        const [found, expected] = [await bytesOf(files[name]), readFileSync(join(out, name))];
        assert.ok(found.equals(expected), `${name}: ${found.length} bytes, natively ${expected.length}`);
      }
      const native = JSON.parse(json.toString());
      assert.equal(report.compression, native.compression);
      assert.equal(report.calibrationTokens, native.calibration_tokens);
      assert.deepEqual(
        report.tensors.map(({ name, bytesAfter, outputError, scaleExponent, keptBecause }) => [
          ...[name, bytesAfter, outputError, scaleExponent, keptBecause],
        ]),
        native.tensors.map((t: Record<string, unknown>) => [
          ...[t.name, t.bytes_after, t.output_error, t.scale_exponent, t.kept_because],
        ]),
      );
    });

test('with a text it is AWQ, whose outputs have less error, and the result writes', async () => {
  const quantization = await quantize(rwkv7, few);
  const { report } = quantization;
  assert.ok(report.compression > 7.42, `compression ${report.compression}`);
  assert.equal(report.calibrationTokens, 4 * 128);
  const sum = (key: 'outputError' | 'outputErrorRtn') => report.tensors.reduce((all, t) => all + (t[key] ?? 0), 0);
  assert.ok(sum('outputError') < sum('outputErrorRtn'));
  assert.ok(report.tensors.some(({ scaleExponent }) => scaleExponent !== undefined));
  await using model = await load(quantization);
  assert.equal(model.info.quantisation, '4-bit, group 128');
  assert.ok((await model.generate('Once upon a time', { maxTokens: 8, temperature: 0 }).text()).length > 0);
});

test('without a text it is rounded to nearest', async () => {
  const { report, memory } = await quantize(mamba);
  assert.equal(report.calibrationTokens, 0);
  // Of the model only what is being rounded.
  assert.ok(memory.peakBytes < 0.8 * report.bytesBefore, `${memory.peakBytes} of ${report.bytesBefore} bytes`);
  assert.ok(report.tensors.every(({ outputError, outputErrorRtn }) => outputError === outputErrorRtn));
});

test('it goes on from a checkpoint and ends with the same', async () => {
  const checkpoints: Blob[] = [];
  const expected = await quantize(rwkv7, {
    ...few,
    checkpoints: true,
    onProgress: ({ checkpoint }) => checkpoint && checkpoints.push(checkpoint),
  });
  assert.equal(checkpoints.length, 5); // four layers and the head
  for (const resume of [checkpoints[0]!, checkpoints[3]!]) {
    const stages = new Set<string | undefined>();
    const onProgress = ({ stage }: LoadProgress) => stages.add(stage);
    const again = await quantize(rwkv7, { ...few, resume, onProgress });
    await assertSame(again, expected);
    assert.ok(!stages.has('embeddings'));
  }
  const refused = (resume: Blob, code: string, options: QuantizeOptions = few) =>
    assert.rejects(quantize(rwkv7, { ...options, resume }), { name: 'SutraError', code });
  const last = checkpoints.at(-1)!;
  await refused(last, 'state_mismatch', { ...few, groupSize: 64 });
  await refused(last, 'state_mismatch', { ...few, calibration: `${calibration.slice(0, 9000)} ${calibration}` });
  await refused(last.slice(0, 9), 'truncated');
  await refused(last.slice(0, last.size - 1), 'malformed');
  await refused(new Blob([new Uint8Array(100)]), 'malformed');
});

test('in Chromium, from a server: the same bytes, with progress that never falls and the time left', async () => {
  const found = await onPage((page) =>
    page.evaluate(
      async ({ url, few }) => {
        const { quantize } = (await import('/dist/index.js' as string)) as typeof import('sutra-web');
        const progress: LoadProgress[] = [];
        const { files } = await quantize(url, { ...few, onProgress: (p) => progress.push(p) });
        const digest = await crypto.subtle.digest('SHA-256', await files['model.safetensors']!.arrayBuffer());
        return { progress, digest: [...new Uint8Array(digest)] };
      },
      { url: `/float/${basename(rwkv7)}/`, few },
    ),
  );
  const { files } = await quantize(rwkv7, few);
  const digest = await crypto.subtle.digest('SHA-256', await files['model.safetensors']!.arrayBuffer());
  assert.deepEqual(found.digest, [...new Uint8Array(digest)]);
  const fractions = found.progress.map(({ fraction }) => fraction);
  assert.deepEqual(
    fractions,
    [...fractions].sort((a, b) => a - b),
  );
  const stages = new Set(found.progress.map(({ stage }) => stage).filter((stage) => stage !== undefined));
  assert.deepEqual([...stages], ['embeddings', ...[1, 2, 3, 4].map((layer) => `layer ${layer} of 4`), 'head']);
  assert.ok(found.progress.filter(({ secondsLeft }) => secondsLeft !== undefined && secondsLeft >= 0).length > 20);
  const { phase, fraction, loaded } = found.progress.at(-1)!;
  assert.deepEqual(
    { phase, fraction, loaded },
    { phase: 'ready', fraction: 1, loaded: files['model.safetensors']!.size },
  );
});

test('it can be stopped while it reads and while it works', async () => {
  for (const phase of ['download', 'quantize']) {
    const controller = new AbortController();
    const onProgress = (progress: LoadProgress) => progress.phase === phase && controller.abort();
    await assert.rejects(quantize(rwkv7, { ...few, signal: controller.signal, onProgress }), {
      name: 'AbortError',
    });
  }
});

test('every build writes the same, in the calling thread too', async () => {
  const expected = await quantize(mamba, few);
  for (const options of [
    { artefact: 'simd128', threads: 1 },
    { artefact: 'simd128', threads: 2 },
    { artefact: 'relaxed', threads: 1 },
    { artefact: 'relaxed', threads: 3 },
    { worker: false },
  ] as const)
    await assertSame(await quantize(mamba, { ...few, ...options }), expected);
});

test('what cannot be quantised is refused with the reason', async () => {
  const refused = (options: object, code: string, message: RegExp, source: Parameters<typeof quantize>[0] = rwkv7) =>
    assert.rejects(quantize(source, options), { name: 'SutraError', code, message });
  await refused({ method: 'hqq' }, 'invalid_argument', /method must be one of awq, rtn, gptq, found hqq/);
  await refused({ bits: 5 }, 'invalid_argument', /bits must be one of 3, 4, 8, found 5/);
  await refused({ groupSize: 48 }, 'invalid_argument', /groupSize must be one of 32, 64, 128, found 48/);
  await refused({ method: 'awq' }, 'invalid_argument', /awq needs a calibration text/);
  await refused({ calibration: 'Too short.' }, 'invalid_argument', /the calibration text has \d+ tokens/);
  await refused({ ...few, calibrationSequences: 0 }, 'invalid_argument', /calibrationSequences must be at least 1/);
  await refused({}, 'invalid_argument', /quantised already/, shippedModels[0]!);
  const { files } = await convert(shippedModels[1]!);
  const { 'tokenizer.json': _, ...rest } = files;
  await refused(few, 'not_found', /tokenizer/, { files: rest });
  const cut = { ...files, 'model.safetensors': files['model.safetensors']!.slice(0, 1_000_000) };
  await refused(few, 'truncated', /model\.safetensors/, { files: cut });
});

test('the .zip has the files, as any program that unpacks one sees them', async () => {
  const quantization = await quantize(mamba);
  const zip = await bytesOf(await quantization.toBlob());
  const end = zip.length - 22;
  assert.equal(zip.readUInt32LE(end), 0x06054b50);
  let entry = zip.readUInt32LE(end + 16);
  assert.equal(zip.readUInt32LE(end + 12), end - entry);
  const found: Record<string, Buffer> = {};
  for (let count = zip.readUInt16LE(end + 10); count > 0; count--) {
    assert.equal(zip.readUInt32LE(entry), 0x02014b50);
    const nameBytes = zip.readUInt16LE(entry + 28);
    const name = zip.toString('utf8', entry + 46, entry + 46 + nameBytes);
    const local = zip.readUInt32LE(entry + 42);
    assert.equal(zip.readUInt32LE(local), 0x04034b50);
    assert.equal(zip.toString('utf8', local + 30, local + 30 + nameBytes), name);
    const [crc, size] = [zip.readUInt32LE(entry + 16), zip.readUInt32LE(entry + 24)];
    // The header before the file says the same as the directory.
    assert.ok(zip.subarray(local + 4, local + 30).equals(zip.subarray(entry + 6, entry + 32)));
    found[name] = zip.subarray(local + 30 + nameBytes, local + 30 + nameBytes + size);
    assert.equal(crc32(found[name]), crc);
    entry += 46 + nameBytes;
  }
  assert.equal(entry, end);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(quantization.files).sort());
  for (const [name, blob] of Object.entries(quantization.files))
    assert.ok(found[name]!.equals(await bytesOf(blob)), name);
});
