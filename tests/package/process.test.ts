// A program that uses the package ends by itself, and survives the end of the engine's thread.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { goldenCases } from './models.ts';

/** Runs a module in a Node of its own; `model` is loaded in it. Returns its output once it has ended by itself. */
async function run(code: string, options = ''): Promise<string> {
  const prologue = `import { load } from 'sutra-web';
    const model = await load(${JSON.stringify(`${goldenCases[0]!.source}/`)}, { tokenizer: false, ${options} });`;
  const args = ['--expose-gc', '--input-type=module', '--eval', prologue + code];
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const [status, signal] = await once(child, 'exit');
  clearTimeout(timer);
  assert.deepEqual([status, signal], [0, null], output);
  return output.trim();
}

for (const options of ['threads: 1', 'threads: 2', 'worker: false'])
  test(`a program that forgets to dispose its model still ends (${options})`, async () => {
    assert.equal(await run('console.log((await model.logits([1, 2])).length > 0)', options), 'true');
  });

test('a model that nobody holds any more ends its thread', async () => {
  const output = await run(
    `const { lost } = model;
     let held = [await load(${JSON.stringify(`${goldenCases[0]!.source}/`)}, { tokenizer: false, threads: 1 })];
     const forgotten = held[0].lost;
     held = [];
     const collect = setInterval(() => globalThis.gc(), 20);
     console.log((await forgotten).code);
     clearInterval(collect);
     console.log((await model.logits([1])).length > 0);`,
    'threads: 1',
  );
  assert.equal(output, 'disposed\ntrue');
});
