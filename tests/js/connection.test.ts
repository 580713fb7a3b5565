import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SutraError } from '../../bindings/js/errors.ts';
import { EngineTokenizer } from '../../bindings/js/tokenizer.ts';
import { connect, loadRequest, openSession, withCode } from './support.ts';

test('a trap settles everything that waits, and everything that comes later', async () => {
  const { connection, engine, session } = await openSession('a');
  const other = await session.clone();
  const writing = session.generate('', { maxTokens: 1000 }).text();
  engine.traps.add('_sutra_session_save');
  const waiting = [writing, other.saveState(), other.append('abc')];
  for (const promise of waiting) await assert.rejects(promise, withCode('worker_crashed', /unreachable/));
  assert.equal((await connection.lost).code, 'worker_crashed');
  await assert.rejects(session.append('x'), withCode('worker_crashed'));
  await session.dispose();
  const { steps } = engine;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(engine.steps, steps, 'the trapped engine is left alone');
});

test('a thread that ends settles everything that waits', async () => {
  const { connection, session } = await openSession('a');
  const writing = session.generate('', { maxTokens: 1_000_000 }).text();
  setTimeout(() => connection.onCrash('exit code 1'), 5);
  await assert.rejects(writing, withCode('worker_crashed', /exit code 1/));
});

test('closing settles everything that waits with the reason', async () => {
  const { connection, session } = await openSession('a');
  const writing = session.generate('', { maxTokens: 1_000_000 }).text();
  setTimeout(() => connection.close(new SutraError('disposed', 'the model was disposed')), 5);
  await assert.rejects(writing, withCode('disposed'));
  assert.equal((await connection.lost).code, 'disposed');
});

test('no call is made before the engine is loaded', async () => {
  const { connection } = connect();
  await assert.rejects(connection.call('memory', undefined), withCode('internal', /before it was loaded/));
});

test('what cannot be sent is refused and the engine goes on', async () => {
  const { connection } = connect();
  await connection.call('load', loadRequest());
  await assert.rejects(connection.call('decode', { ids: (() => {}) as never }), withCode('invalid_argument'));
  assert.equal((await connection.call('memory', undefined)).usedBytes, 100);
});

test('calls may overlap and each gets its own answer', async () => {
  const { connection } = connect();
  await connection.call('load', loadRequest());
  const tokenizer = new EngineTokenizer(connection, 26, false);
  const all = await Promise.all(['abc', 'xyz', ''].map((text) => tokenizer.encode(text)));
  assert.deepEqual(all, [Int32Array.of(0, 1, 2), Int32Array.of(23, 24, 25), new Int32Array()]);
  assert.equal(await tokenizer.decode([7, 8]), 'hi');
  assert.equal(await tokenizer.countTokens('abcd'), 4);
  const decoder = tokenizer.streamDecoder();
  assert.equal((await decoder.push(1)) + (await decoder.push(2)) + (await decoder.flush()), 'bc.');
  await assert.rejects(decoder.push(-1), withCode('invalid_argument'));
});
