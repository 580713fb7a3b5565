import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Candidate } from '../../bindings/js/features.ts';
import { startEngine } from '../../bindings/js/start.ts';
import { FakeEngine } from './fake_engine.ts';
import { withCode } from './support.ts';

const request = { ownThread: true, threads: 2 };

/** Starts with `behave` for each candidate; returns the order in which they were tried. */
async function start(behave: (engine: FakeEngine, candidate: Candidate) => void) {
  const tried: string[] = [];
  const running = await startEngine(request, async (candidate) => {
    tried.push(`${candidate.artefact}-${candidate.threads}`);
    const engine = new FakeEngine();
    behave(engine, candidate);
    return engine.module;
  });
  return { tried, ...running };
}

test('the first build that passes its self-test runs', async () => {
  const { tried, runtime } = await start(() => {});
  assert.deepEqual(tried, ['relaxed-2']);
  assert.deepEqual([runtime.artefact, runtime.threads], ['relaxed', 2]);
});

test('a build whose arithmetic is wrong is left out with any number of threads, and the reason is told', async () => {
  const { tried, runtime } = await start((engine, { artefact }) => {
    if (artefact === 'relaxed')
      engine.failures.set('_sutra_self_test', ['self_test_failed', 'gemm_q4: expected 3, found 6']);
  });
  assert.deepEqual(tried, ['relaxed-2', 'simd128-2']);
  assert.match(runtime.why, /relaxed with 2 threads was left out: gemm_q4: expected 3, found 6/);
});

test('where threads do not start the same instructions run without them', async () => {
  const { tried, runtime } = await start((_, { threads }) => {
    if (threads > 1) throw new Error('no workers here');
  });
  assert.deepEqual(tried, ['relaxed-2', 'relaxed-1']);
  assert.match(runtime.why, /no workers here/);
});

test('when nothing starts the error says what was tried', async () => {
  const failing = start(() => {
    throw new Error('compile error');
  });
  await assert.rejects(failing, withCode('unsupported', /relaxed.*compile error.*simd128.*compile error/));
});
