// Converting in the package: the result means the same, is the native program's byte for byte, and loads again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type Conversion, type ConvertOptions, convert, type LoadProgress, load } from 'sutra-web';
import { useBrowser } from './browser.ts';
import { goldenCases, shippedModels } from './models.ts';

const project = join(import.meta.dirname, '../..');
const program = join(project, 'build/sutra');
const needsProgram = existsSync(program) ? false : 'build/sutra is not built';
const folder = shippedModels[0]!;
const ids = [1, 2, 3, 5, 8, 13];
const prompt = 'Once upon a time there was a fox who';

const bytesOf = async (blob: Blob | undefined) => Buffer.from(await blob!.arrayBuffer());

async function logitsOf(source: Parameters<typeof load>[0]): Promise<Float32Array> {
  await using model = await load(source, { exact: true, tokenizer: false });
  return await model.logits(ids);
}

const onPage = useBrowser([['/models/', join(project, 'models')]]);

const written = goldenCases.filter(({ name }) => /^(rwkv6|rwkv7|mamba|llama-gqa)/.test(name));
/** GGUF has no place for a bias of Mamba's projections, a norm over several groups, or limits of time steps. */
const notInGguf = ['mamba-bias', 'mamba2-g2', 'mamba2-dtlimit'];

for (const { name, source } of written)
  for (const format of ['gguf', 'safetensors'] as const)
    test(`${name} as ${format} in float32 has the same logits, or no place there`, async () => {
      const conversion = convert(source, { format, dtype: 'f32' });
      if (format === 'gguf' && notInGguf.includes(name)) {
        await assert.rejects(conversion, { code: 'unsupported', message: /GGUF/ });
        return;
      }
      const [found, expected] = [await logitsOf(await conversion), await logitsOf(source)];
      // Mamba's A is a rounded exponential in GGUF.
      const tolerance = format === 'gguf' && name.startsWith('mamba') ? 2e-6 : 0;
      assert.equal(found.length, expected.length);
      const largest = Math.max(...found.map((logit, i) => Math.abs(logit - expected[i]!)));
      assert.ok(largest <= tolerance, `largest error ${largest}`);
    });

for (const [format, dtype] of [
  ['safetensors', 'f16'],
  ['gguf', 'f16'],
  ['gguf', 'q8_0'],
  ['gguf', 'q4_0'],
] as const)
  test(`${basename(folder)} as ${format} ${dtype} is what the native program writes`, {
    skip: needsProgram,
  }, async () => {
    const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
    try {
      const out = format === 'gguf' ? join(root, 'model.gguf') : root;
      execFileSync(program, ['convert', '--model', folder, '--out', out, '--format', format, '--dtype', dtype]);
      const { files, report } = await convert(folder, { format, dtype });
      assert.deepEqual(Object.keys(files).sort(), readdirSync(root).sort());
      for (const name of readdirSync(root)) {
        const [found, expected] = [await bytesOf(files[name]), readFileSync(join(root, name))];
        assert.ok(found.equals(expected), `${name}: ${found.length} bytes, natively ${expected.length}`);
      }
      assert.equal(report.bytes, files[format === 'gguf' ? 'model.gguf' : 'model.safetensors']!.size);
      assert.equal(report.tokenizer, true);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

test('a GGUF file and the folder made of it write the same text, tokenizer included', async () => {
  const write = async (conversion: Conversion) => {
    await using model = await load(conversion);
    return await model.generate(prompt, { maxTokens: 40, temperature: 0 }).text();
  };
  const gguf = await convert(folder, { format: 'gguf' });
  assert.deepEqual(Object.keys(gguf.files), ['model.gguf']);
  const back = await convert(gguf);
  assert.deepEqual(Object.keys(back.files).sort(), ['config.json', 'model.safetensors', 'tokenizer.json']);
  const text = await write(gguf);
  assert.ok(text.length > 40);
  assert.equal(await write(back), text);
});

test('a changed value of the config is in the result', async () => {
  const { files } = await convert(folder, { config: { bos_token_id: 7 } });
  assert.equal(JSON.parse(await files['config.json']!.text()).bos_token_id, 7);
});

test('in Chromium, from a server: the same bytes, with progress that never falls', async () => {
  const found = await onPage((page) =>
    page.evaluate(
      async ({ url }) => {
        const { convert, load } = (await import('/dist/index.js' as string)) as typeof import('sutra-web');
        const progress: LoadProgress[] = [];
        const conversion = await convert(url, { format: 'gguf', dtype: 'q8_0', onProgress: (p) => progress.push(p) });
        const model = await load(conversion);
        const text = await model.generate('The fox', { maxTokens: 8, temperature: 0 }).text();
        await model.dispose();
        const digest = await crypto.subtle.digest('SHA-256', await conversion.files['model.gguf']!.arrayBuffer());
        return { progress, text, digest: [...new Uint8Array(digest)] };
      },
      { url: `/models/${basename(folder)}/` },
    ),
  );
  const { files } = await convert(folder, { format: 'gguf', dtype: 'q8_0' });
  const digest = await crypto.subtle.digest('SHA-256', await files['model.gguf']!.arrayBuffer());
  assert.deepEqual(found.digest, [...new Uint8Array(digest)]);
  assert.ok(found.text.length > 0);
  const fractions = found.progress.map(({ fraction }) => fraction);
  assert.deepEqual(
    fractions,
    [...fractions].sort((a, b) => a - b),
  );
  const { phase, fraction, loaded } = found.progress.at(-1)!;
  assert.deepEqual({ phase, fraction, loaded }, { phase: 'ready', fraction: 1, loaded: files['model.gguf']!.size });
  assert.ok(found.progress.filter(({ phase }) => phase === 'write').length > 10);
});

test('a conversion can be stopped while it reads and while it writes', async () => {
  for (const phase of ['download', 'write']) {
    const controller = new AbortController();
    const onProgress = (progress: LoadProgress) => progress.phase === phase && controller.abort();
    await assert.rejects(convert(folder, { signal: controller.signal, onProgress }), { name: 'AbortError' });
  }
});

test('it works in the calling thread', async () => {
  const options: ConvertOptions = { format: 'gguf', dtype: 'q4_0' };
  const [here, there] = [await convert(folder, { ...options, worker: false }), await convert(folder, options)];
  assert.ok((await bytesOf(here.files['model.gguf'])).equals(await bytesOf(there.files['model.gguf'])));
});

test('what cannot be converted is refused with the reason', async () => {
  const refused = (options: object, code: string, message: RegExp, source: Parameters<typeof convert>[0] = folder) =>
    assert.rejects(convert(source, options), { name: 'SutraError', code, message });
  await refused({ dtype: 'q8_0' }, 'invalid_argument', /dtype of safetensors must be one of f32, f16, found q8_0/);
  await refused({ format: 'zip' }, 'invalid_argument', /format must be one of safetensors, gguf, found zip/);
  await refused({ config: { no_such_key: 1 } }, 'invalid_argument', /no_such_key/);
  const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
  try {
    writeFileSync(
      join(root, 'model.gguf'),
      readFileSync(join(project, 'tests/golden/gguf/rwkv6.gguf')).subarray(0, 5000),
    );
    await refused({}, 'truncated', /model\.gguf/, join(root, 'model.gguf'));
  } finally {
    rmSync(root, { recursive: true });
  }
});
