import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextGeneration } from '../../bindings/js/generation.ts';
import { asAbort, connect, loadRequest, onlySession, openSession, withCode } from './support.ts';

const letters = 'abcdefghijklmnopqrstuvwxyz';

test('text comes token by token, and the result says why it ended', async () => {
  const { session } = await openSession();
  const generation = session.generate('ab', { maxTokens: 3, seed: 1, logprobs: true });
  const { result } = generation;
  assert.equal(result, undefined);
  const pieces = [];
  for await (const piece of generation) pieces.push(piece);
  assert.deepEqual(pieces, [
    { text: 'c', id: 2, logprob: -0.5 },
    { text: 'd', id: 3, logprob: -0.5 },
    { text: 'e', id: 4, logprob: -0.5 },
  ]);
  assert.equal(generation.result?.stopReason, 'length');
  assert.deepEqual(generation.result?.usage, { promptTokens: 2, generatedTokens: 3 });
  assert.ok(generation.result.timings.firstTokenMs > 0);
  assert.equal(session.position, 5);
});

test('probabilities are given where they are asked for', async () => {
  const { session } = await openSession();
  for await (const piece of session.generate('ab', { maxTokens: 1 })) assert.deepEqual(piece, { text: 'c', id: 2 });
});

test('nothing runs until a generation is read, and it can be read once', async () => {
  const { session, engine } = await openSession();
  const generation = session.generate('a', { maxTokens: 2 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(engine.steps, 0);
  assert.equal(await generation.text(), 'bc');
  await assert.rejects(generation.text(), withCode('invalid_argument', /only once/));
});

for (const slow of [false, true])
  test(`after break the state is what the ${slow ? 'slow ' : ''}reader has seen`, async () => {
    const { session, engine } = await openSession();
    const seen: number[] = [];
    const generation = session.generate('a', { maxTokens: 1000 });
    for await (const { id } of generation) {
      seen.push(id);
      if (slow) await new Promise((resolve) => setTimeout(resolve, 10));
      if (seen.length === 5) break;
    }
    assert.deepEqual(onlySession(engine), [0, ...seen]);
    assert.equal(generation.result?.stopReason, 'aborted');
    assert.equal(session.position, 6);
    assert.equal(await session.generate('', { maxTokens: 2 }).text(), letters.slice(6, 8));
  });

test('a signal stops within one token; what was computed is delivered before the AbortError', async () => {
  const { session, engine } = await openSession();
  const controller = new AbortController();
  const seen: number[] = [];
  const generation = session.generate('a', { maxTokens: 1000, signal: controller.signal });
  await assert.rejects(async () => {
    for await (const { id } of generation) {
      seen.push(id);
      if (seen.length === 3) controller.abort();
    }
  }, asAbort);
  assert.ok(seen.length <= 4, `${seen.length} tokens`);
  assert.deepEqual(onlySession(engine), [0, ...seen]);
  assert.equal(generation.result?.stopReason, 'aborted');
});

test('a signal that was aborted before stops everything before it starts', async () => {
  const { session, engine } = await openSession();
  const generation = session.generate('a', { signal: AbortSignal.abort() });
  await assert.rejects(generation.text(), asAbort);
  assert.equal(engine.steps, 0);
  assert.equal(generation.result?.stopReason, 'aborted');
});

test('a long prompt can be stopped on its way', async () => {
  const { session, engine } = await openSession();
  const controller = new AbortController();
  const appended = session.append('a'.repeat(40_000), { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(appended, asAbort);
  assert.ok(onlySession(engine).length < 40_000);
});

test('cancelling a stream stops the engine', async () => {
  const { session, engine } = await openSession();
  const reader = session.generate('a', { maxTokens: 1000 }).toReadableStream().getReader();
  assert.deepEqual(await reader.read(), { done: false, value: 'b' });
  await reader.cancel();
  const { steps } = engine;
  await session.append('z');
  assert.equal(engine.steps, steps + 2);
});

test('a stream gives the whole text and ends', async () => {
  const { session } = await openSession();
  let text = '';
  for await (const part of session.generate('a', { maxTokens: 3 }).toReadableStream()) text += part;
  assert.equal(text, 'bcd');
});

test('an empty append changes nothing, an empty prompt continues', async () => {
  const { session, engine } = await openSession('ab');
  await session.append('');
  assert.deepEqual(onlySession(engine), [0, 1]);
  assert.equal(await session.generate(undefined, { maxTokens: 1 }).text(), 'c');
});

test('a clone goes its own way', async () => {
  const { session } = await openSession('a');
  const copy = await session.clone();
  assert.equal(copy.position, 1);
  await copy.append('xyz');
  assert.equal(session.position, 1);
  assert.equal(await session.generate('', { maxTokens: 1 }).text(), 'b');
  assert.equal(await copy.generate('', { maxTokens: 1 }).text(), 'e');
});

test('a saved state continues where it was saved', async () => {
  const { session } = await openSession('abc');
  const state = await session.saveState();
  await session.append('zzz');
  await session.loadState(state);
  assert.equal(session.position, 3);
  assert.equal(await session.generate('', { maxTokens: 1 }).text(), 'd');
  await assert.rejects(session.loadState('abc' as never), withCode('invalid_argument'));
  await assert.rejects(session.loadState([]), withCode('invalid_argument'));
});

test('of several states the session becomes the mean, and none is left behind', async () => {
  const { session, engine } = await openSession('abc');
  await session.loadState([Uint8Array.of(1, 2), Uint8Array.of(3)]);
  assert.deepEqual(onlySession(engine), [1, 2, 3]);
  assert.equal(session.position, 3);
  engine.failures.set('_sutra_session_mean', ['unsupported', 'no mean']);
  await assert.rejects(session.loadState([Uint8Array.of(1), Uint8Array.of(2)]), withCode('unsupported', /no mean/));
  assert.deepEqual(onlySession(engine), [1, 2, 3]);
});

test('a state that the engine refuses leaves its error', async () => {
  const { session, engine } = await openSession('abc');
  engine.failures.set('_sutra_session_load', ['state_mismatch', 'model_hash']);
  await assert.rejects(session.loadState(new Uint8Array(3)), withCode('state_mismatch', /model_hash/));
  assert.equal(session.position, 3);
});

test('reset goes back to the opening of the session', async () => {
  const { session, engine } = await openSession('ab');
  await session.append('zzz');
  await session.reset();
  assert.deepEqual(onlySession(engine), [0, 1]);
  assert.equal(session.position, 2);
});

test('send is one turn as a whole', async () => {
  const { session } = await openSession('a');
  assert.equal(await session.send('b', { maxTokens: 2 }), 'cd');
});

test('a session takes one call at a time, and other sessions go on', async () => {
  const { session } = await openSession('a');
  const other = await session.clone();
  const iterator = session.generate('', { maxTokens: 10 })[Symbol.asyncIterator]();
  await iterator.next();
  await assert.rejects(session.append('x'), withCode('invalid_argument', /busy/));
  assert.equal(await other.generate('', { maxTokens: 1 }).text(), 'b');
  await iterator.return?.();
  await session.append('x');
});

test('disposing twice does nothing, using afterwards is disposed', async () => {
  const { session, engine } = await openSession('a');
  await session.dispose();
  await session.dispose();
  assert.equal(engine.sessions.size, 0);
  await assert.rejects(session.append('x'), withCode('disposed'));
  await assert.rejects(session.generate('x').text(), withCode('disposed'));
});

test('disposing a session that writes ends the text with disposed', async () => {
  const { session, engine } = await openSession('a');
  const iterator = session.generate('', { maxTokens: 1000 })[Symbol.asyncIterator]();
  await iterator.next();
  await session.dispose();
  await assert.rejects(async () => {
    while (!(await iterator.next()).done);
  }, withCode('disposed'));
  assert.equal(engine.sessions.size, 0);
  assert.equal(engine.generations.size, 0);
});

test('a generation from the zero state leaves nothing behind', async () => {
  const { connection, engine } = connect();
  await connection.call('load', loadRequest());
  const target = { connection, session: undefined, window: 16, check() {}, onEnd() {} };
  assert.equal(await new TextGeneration(target, 'ab', { maxTokens: 2 }).text(), 'cd');
  for await (const _ of new TextGeneration(target, 'ab', { maxTokens: 1000 })) break;
  assert.equal(engine.sessions.size, 0);
  assert.equal(engine.generations.size, 0);
});

test('a reader that stops reading stops the engine after its window', async () => {
  const { connection, engine } = connect();
  await connection.call('load', loadRequest());
  const target = { connection, session: undefined, window: 16, check() {}, onEnd() {} };
  const iterator = new TextGeneration(target, 'ab', { maxTokens: 1000 })[Symbol.asyncIterator]();
  await iterator.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(engine.steps, 17);
  await iterator.return();
});
