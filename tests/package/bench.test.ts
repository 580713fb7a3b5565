// npm run bench:web: the package in Chromium, measured; and what it says when it is called wrongly.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { convert } from 'sutra-web';
import { goldenCases, shippedModels } from './models.ts';

const project = join(import.meta.dirname, '../..');
const paths = join(project, 'build/setup/paths.json');
const found: { browser?: string } = existsSync(paths) ? JSON.parse(readFileSync(paths, 'utf8')) : {};
const browser = found.browser ?? process.env.CHROME_BIN ?? '/usr/bin/chromium';
const skip = existsSync(browser) ? false : 'no Chromium is set up';

function bench(...args: string[]) {
  const env = { ...process.env, SUTRA_CHROMIUM: browser, INIT_CWD: project };
  const script = join(project, 'bench/web/run.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env, timeout: 300_000 });
}

for (const [artefact, threads] of [
  ['relaxed', 2],
  ['simd128', 1],
] as const)
  test(`it prints one JSON object (${artefact}, ${threads} threads)`, { skip }, () => {
    const model = shippedModels[0] ?? goldenCases[0]!.source;
    const few = ['--prompt-tokens', '70', '--gen-tokens', '9'];
    const { status, stdout, stderr } = bench(
      '--model',
      model,
      '--artefact',
      artefact,
      '--threads',
      `${threads}`,
      ...few,
      '--json',
    );
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim().split('\n').length, 1);
    const measured = JSON.parse(stdout);
    assert.deepEqual([measured.artefact, measured.threads], [artefact, threads]);
    for (const key of [
      'load_ms',
      'first_token_ms',
      'prefill_tokens_per_s',
      'decode_tokens_per_s',
      'peak_wasm_bytes',
      'model_bytes',
    ])
      assert.ok(measured[key] > 0, `${key}: ${measured[key]}`);
    assert.ok(measured.peak_wasm_bytes >= measured.model_bytes);
  });

test('with a calibration text it measures quantising', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sutra-bench-'));
  try {
    const { files } = await convert(shippedModels[0]!);
    for (const [name, blob] of Object.entries(files))
      writeFileSync(join(folder, name), Buffer.from(await blob.arrayBuffer()));
    const text = join(folder, 'a text.txt');
    writeFileSync(text, readFileSync(join(project, 'CONTRIBUTING.md'), 'utf8').slice(0, 2000));
    const { status, stdout, stderr } = bench('--model', folder, '--calibration', text, '--threads', '2', '--json');
    assert.equal(status, 0, stderr);
    const measured = JSON.parse(stdout);
    assert.ok(measured.calibration_tokens >= 256, stdout);
    assert.ok(measured.quantize_ms > 0 && measured.quantize_ms <= measured.total_ms, stdout);
    assert.ok(measured.compression > 7 && measured.file_bytes > 1e6, stdout);
    assert.ok(measured.peak_wasm_bytes >= measured.peak_bytes && measured.peak_bytes > 0, stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('wrong arguments are named on standard error and nothing is printed', () => {
  const cases: [string[], RegExp][] = [
    [[], /--model/],
    [['--model', '/nowhere'], /nowhere.*config\.json/],
    [['--model', goldenCases[0]!.source, '--gen-tokens', 'many'], /gen-tokens.*many/],
    [['--model', goldenCases[0]!.source, '--artefact', 'avx2'], /artefact.*avx2/],
    [['--model', goldenCases[0]!.source, '--calibration', '/nowhere.txt'], /nowhere\.txt/],
    [['--model', goldenCases[0]!.source, '--speed'], /--speed/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = bench(...args);
    assert.notEqual(status, 0);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.ok(!stderr.includes('    at '), 'no stack trace for a wrong argument');
  }
});
