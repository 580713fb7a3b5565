// Perplexity in the package: the values of the native program, in both ways, with progress and cancel.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load, type PerplexityProgress, type SutraModel } from 'sutra-web';
import { goldenCases, shippedModels } from './models.ts';

const program = join(import.meta.dirname, '../../build/sutra');
const text =
  'Once upon a time there was a king’s daughter who lived in a small house by the sea. '.repeat(3) +
  'One day a fox came to the door and said: “Give me bread, or I shall eat your geese.” '.repeat(3);
const withCode = (code: string, message = /./) => ({ name: 'SutraError', code, message });

for (const folder of shippedModels)
  describe(basename(folder), () => {
    let model: SutraModel;
    before(async () => {
      model = await load(`${folder}/`);
    });
    after(() => model.dispose());

    test('it is what the native program measures, in windows and with the state carried over', {
      skip: existsSync(program) ? false : 'build/sutra is not built',
    }, async () => {
      const root = mkdtempSync(join(tmpdir(), 'sutra-test-'));
      try {
        const file = join(root, 'text');
        writeFileSync(file, text);
        const native = (...options: string[]) =>
          JSON.parse(
            execFileSync(program, ['perplexity', '--model', folder, '--text', file, '--json', ...options], {
              encoding: 'utf8',
              stdio: ['ignore', 'pipe', 'ignore'],
            }),
          );
        for (const [options, carriedState, args] of [
          [{}, false, []],
          [{ context: 48 }, false, ['--ctx', '48']],
          [{ context: 48, carryState: true }, true, ['--ctx', '48', '--carry-state']],
        ] as const) {
          const expected = native(...args);
          const found = await model.perplexity(text, options);
          assert.equal(found.tokens, expected.tokens);
          assert.equal(expected.carried_state, carriedState);
          // The same bits but for what the two C libraries make of log and exp.
          const near = (a: number, b: number, what: string) =>
            assert.ok(Math.abs(a / b - 1) < 1e-9, `${what} ${a} ${b}`);
          near(found.nll, expected.nll, 'nll');
          near(found.perplexity, expected.perplexity, 'perplexity');
          near(found.bitsPerByte!, expected.bits_per_byte, 'bits per byte');
        }
      } finally {
        rmSync(root, { recursive: true });
      }
    });

    test('with the state carried over it is that of one window over the whole text', async () => {
      const ids = await model.tokenizer.encode(text);
      const whole = await model.perplexity(ids, { context: ids.length });
      const carried = await model.perplexity(ids, { context: 20, carryState: true });
      assert.deepEqual(carried, whole);
      assert.equal(carried.tokens, ids.length - 1);
      assert.equal(carried.bitsPerByte, undefined);
      const windows = await model.perplexity(ids, { context: 20 });
      assert.ok(windows.nll > carried.nll, 'a shorter context predicts these repetitions worse');
    });

    test('progress rises to the result', async () => {
      const seen: PerplexityProgress[] = [];
      const { tokens, perplexity } = await model.perplexity(text, {
        context: 40,
        onProgress: (progress) => seen.push(progress),
      });
      assert.deepEqual(seen.at(-1), { tokens, total: tokens, fraction: 1, perplexity });
      assert.equal(seen.length, Math.ceil(tokens / 40));
      for (const [index, { tokens: sofar, fraction }] of seen.entries()) {
        assert.equal(sofar, Math.min(tokens, 40 * (index + 1)));
        assert.equal(fraction, sofar / tokens);
      }
    });

    test('it stops on its way, and frees what it held', async () => {
      await model.perplexity('Once upon a time');
      const { usedBytes } = await model.memory();
      const controller = new AbortController();
      const seen: number[] = [];
      const long = model.perplexity(text.repeat(20), {
        carryState: true,
        signal: controller.signal,
        onProgress: ({ fraction }) => {
          seen.push(fraction);
          controller.abort();
        },
      });
      await assert.rejects(long, { name: 'AbortError' });
      assert.ok(seen.length > 0 && seen.at(-1)! < 1);
      await assert.rejects(model.perplexity(text, { signal: AbortSignal.abort() }), { name: 'AbortError' });
      assert.equal((await model.memory()).usedBytes, usedBytes);
    });

    test('what cannot be scored is refused, and the model goes on', async () => {
      for (const short of ['', [], [5]])
        await assert.rejects(model.perplexity(short), withCode('invalid_argument', /at least two tokens/));
      await assert.rejects(
        model.perplexity([5, model.info.vocabularySize]),
        withCode('invalid_argument', /vocabulary/),
      );
      await assert.rejects(model.perplexity(text, { context: 0 }), withCode('invalid_argument', /context/));
      await assert.rejects(model.perplexity(text, { context: 1.5 }), withCode('invalid_argument', /context/));
      await assert.rejects(model.perplexity(7 as never), withCode('invalid_argument', /ids/));
      assert.ok((await model.perplexity(text)).perplexity > 1);
    });
  });

const hybrid = goldenCases.find(({ name }) => name === 'hybrid-bamba');

test('windows beyond the context of a model with attention are refused', { skip: !hybrid }, async () => {
  const model = await load(`${hybrid!.source}/`, { tokenizer: false, config: { max_position_embeddings: 20 } });
  const ids = Array.from({ length: 30 }, (_, index) => index);
  await assert.rejects(model.perplexity(ids, { carryState: true }), withCode('invalid_argument', /holds 20 tokens/));
  await assert.rejects(model.perplexity(ids), withCode('invalid_argument', /holds 20 tokens/));
  assert.equal((await model.perplexity(ids, { context: 20 })).tokens, 29);
  assert.equal((await model.perplexity(ids.slice(0, 21), { carryState: true })).tokens, 20);
  await assert.rejects(model.perplexity('a text'), withCode('not_found', /tokenizer/));
  await model.dispose();
});
