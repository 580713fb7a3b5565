import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PerplexityProgress } from '../../bindings/js/types.ts';
import { asAbort, connect, loadRequest, withCode } from './support.ts';

const windows = { context: 512, carryState: false };

async function loaded() {
  const parts = connect();
  await parts.connection.call('load', loadRequest());
  return parts;
}

test('a text is scored in slices, with progress, and nothing is left behind', async () => {
  const { connection, engine } = await loaded();
  const seen: PerplexityProgress[] = [];
  const onProgress = (progress: PerplexityProgress) => seen.push(progress);
  // The toy's negative log likelihood of a token is its id: b, c, d, e, f, g.
  const found = await connection.call('perplexity', { text: 'abcdefg', ...windows }, { onProgress });
  assert.deepEqual(seen, [
    { tokens: 4, total: 6, fraction: 4 / 6, perplexity: Math.exp(10 / 4) },
    { tokens: 6, total: 6, fraction: 1, perplexity: Math.exp(21 / 6) },
  ]);
  assert.deepEqual(found, {
    perplexity: Math.exp(21 / 6),
    nll: 21 / 6,
    tokens: 6,
    bitsPerByte: 21 / Math.LN2 / 7,
  });
  assert.equal(engine.perplexities.size, 0);
});

test('ids are scored as they are and have no bytes', async () => {
  const { connection } = await loaded();
  for (const text of [[9, 1, 3], Int32Array.of(9, 1, 3)])
    assert.deepEqual(await connection.call('perplexity', { text, ...windows }), {
      perplexity: Math.exp(2),
      nll: 2,
      tokens: 2,
      bitsPerByte: undefined,
    });
});

test('the engine is told the context and whether the state is carried over', async () => {
  const { connection, engine } = await loaded();
  const created: unknown[] = [];
  const { set } = engine.perplexities;
  engine.perplexities.set = function (number, job) {
    created.push([job.ids, job.context, job.carryState]);
    return set.call(this, number, job);
  };
  await connection.call('perplexity', { text: 'abc', context: 7, carryState: false });
  await connection.call('perplexity', { text: [2, 1], context: 512, carryState: true });
  assert.deepEqual(created, [
    [[0, 1, 2], 7, false],
    [[2, 1], 512, true],
  ]);
});

test('a signal stops between slices, and nothing is left behind', async () => {
  const { connection, engine } = await loaded();
  const controller = new AbortController();
  let last = 0;
  const onProgress = ({ fraction }: PerplexityProgress) => {
    last = fraction;
    controller.abort();
  };
  const text = 'a'.repeat(40_000);
  const { signal } = controller;
  await assert.rejects(connection.call('perplexity', { text, ...windows }, { signal, onProgress }), asAbort);
  assert.ok(last > 0 && last < 0.5, `${last}`);
  assert.equal(engine.perplexities.size, 0);
  const { steps } = engine;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(engine.steps, steps);
});

test('two texts may be under way, and a session beside them', async () => {
  const { connection } = await loaded();
  const found = await Promise.all([
    connection.call('perplexity', { text: 'b'.repeat(30), ...windows }),
    connection.call('perplexity', { text: 'c'.repeat(50), ...windows }),
    connection.call('logits', { ids: [1, 2] }),
  ]);
  assert.deepEqual([found[0].nll, found[0].tokens, found[1].nll, found[1].tokens], [1, 29, 2, 49]);
});

test('an error at the beginning or on the way is the call’s, and nothing is left behind', async () => {
  const { connection, engine } = await loaded();
  const score = (text: string) => connection.call('perplexity', { text, ...windows });
  for (const text of ['', 'a']) await assert.rejects(score(text), withCode('invalid_argument', /at least two tokens/));
  engine.failures.set('_sutra_perplexity_step', ['non_finite', 'the logits after token 3 are not finite']);
  await assert.rejects(score('abcdef'), withCode('non_finite', /token 3/));
  assert.equal(engine.perplexities.size, 0);
  engine.failures.clear();
  assert.equal((await score('abcdef')).tokens, 5);
});
