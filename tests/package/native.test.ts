// The native program and the package are one engine: the same tokens, and states that either can continue.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type Artefact, load } from 'sutra-web';
import { shippedModels } from './models.ts';

const program = join(import.meta.dirname, '../../build/sutra');
const skip = existsSync(program) ? false : 'build/sutra is not built';
const prompt = 'Once upon a time there was a fox who';
const native = (...args: string[]) => execFileSync(program, args, { encoding: 'utf8' });

for (const folder of shippedModels)
  for (const artefact of ['relaxed', 'simd128'] as Artefact[])
    test(`${basename(folder)} writes the same 200 greedy tokens natively and in ${artefact}`, { skip }, async () => {
      const length = ['--max-tokens', '200', '--temperature', '0'];
      const expected = JSON.parse(native('generate', '--model', folder, '--prompt', prompt, ...length, '--json'));
      const model = await load(`${folder}/`, { artefact });
      const ids: number[] = [];
      let text = '';
      for await (const piece of model.generate(prompt, { maxTokens: 200, temperature: 0 })) {
        if (piece.id >= 0) ids.push(piece.id);
        text += piece.text;
      }
      await model.dispose();
      assert.deepEqual(ids, expected.ids);
      assert.equal(text, expected.text);
    });

for (const folder of shippedModels)
  test(`a state of ${basename(folder)} is the same file natively and in the package`, { skip }, async () => {
    const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
    try {
      const file = join(root, 'state.safetensors');
      const model = await load(`${folder}/`);
      const ids = await model.tokenizer.encode(prompt);
      native('state', '--model', folder, '--ids', ids.join(','), '--save', file);
      const session = await model.createSession();
      await session.append(ids);
      assert.deepEqual(Buffer.from(await session.saveState()), readFileSync(file));
      await session.append(' said');
      await session.loadState(new Uint8Array(readFileSync(file)));
      assert.equal(session.position, ids.length);
      writeFileSync(file, await session.saveState());
      native('state', '--model', folder, '--ids', '5', '--load', file);
      await model.dispose();
    } finally {
      rmSync(root, { recursive: true });
    }
  });

test('a native command that is stopped leaves nothing of its model behind', { skip }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
  const shape = join(import.meta.dirname, '../../bench/shapes/rwkv7-0.4b.json');
  try {
    const child = spawn(program, ['init', '--config', shape, '--out', join(root, 'model')]);
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    await once(child.stderr, 'data'); // the first tensor is written
    child.kill('SIGINT');
    const [status] = await once(child, 'close');
    assert.equal(status, 1);
    assert.match(said, /stopped \(cancelled\)/);
    assert.deepEqual(readdirSync(join(root, 'model')), []);
  } finally {
    rmSync(root, { recursive: true });
  }
});
