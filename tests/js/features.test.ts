import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choose, examine, type Offer, probe } from '../../bindings/js/features.ts';

const best: Offer = {
  simd: true,
  relaxedSimd: true,
  sharedMemory: true,
  crossOriginIsolated: true,
  hardwareThreads: 4,
  ownThread: true,
};
const names = (offer: Partial<Offer>, wish = {}) =>
  choose({ ...best, ...offer }, wish).candidates.map(({ artefact, threads }) => `${artefact}-${threads}`);

test('the fastest build comes first and simpler ones follow', () => {
  assert.deepEqual(names({}), ['relaxed-4', 'relaxed-1', 'simd128-4', 'simd128-1']);
});

test('without relaxed SIMD only simd128 is tried', () => {
  assert.deepEqual(names({ relaxedSimd: false }), ['simd128-4', 'simd128-1']);
});

test('threads are used only where memory is really shared and the engine may wait', () => {
  assert.deepEqual(names({ sharedMemory: false }), ['relaxed-1', 'simd128-1']);
  assert.deepEqual(names({ ownThread: false }), ['relaxed-1', 'simd128-1']);
});

test('a wish narrows the choice and never adds to it', () => {
  assert.deepEqual(names({}, { artefact: 'simd128', threads: 1 }), ['simd128-1']);
  assert.deepEqual(names({}, { threads: 2 }), ['relaxed-2', 'relaxed-1', 'simd128-2', 'simd128-1']);
  assert.deepEqual(names({ relaxedSimd: false }, { artefact: 'relaxed' }), []);
  assert.deepEqual(names({ simd: false, relaxedSimd: false }), []);
});

test('the sentence names what is missing for more speed', () => {
  const why = (offer: Partial<Offer>, wish = {}) => choose({ ...best, ...offer }, wish).why;
  assert.match(why({ relaxedSimd: false }), /no relaxed SIMD/);
  assert.match(why({ sharedMemory: false, crossOriginIsolated: false }), /COOP and COEP/);
  assert.match(why({ sharedMemory: false }), /does not share/);
  assert.match(why({ ownThread: false }), /calling thread/);
  assert.match(why({ simd: false }), /no WebAssembly SIMD/);
  assert.match(why({}, { artefact: 'simd128' }), /asked for/);
});

test('this Node has relaxed SIMD and shares memory', async () => {
  const offer = await examine(true);
  assert.deepEqual([offer.simd, offer.relaxedSimd, offer.sharedMemory], [true, true, true]);
  const { artefact, threads } = await probe();
  assert.equal(artefact, 'relaxed');
  assert.equal(threads, offer.hardwareThreads);
});

test('memory that cannot be sent is not shared, whatever the browser says', async (t) => {
  t.mock.method(MessagePort.prototype, 'postMessage', () => {
    throw new DOMException('no', 'DataCloneError');
  });
  assert.equal((await examine(true)).sharedMemory, false);
});
