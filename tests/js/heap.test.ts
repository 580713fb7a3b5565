import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heap } from '../../bindings/js/heap.ts';
import { toWireOptions } from '../../bindings/js/options.ts';
import { FakeEngine } from './fake_engine.ts';
import { withCode } from './support.ts';

test('an input that makes the memory grow arrives whole', () => {
  const engine = new FakeEngine();
  const heap = new Heap(engine.module);
  const before = engine.memory.buffer.byteLength;
  const bytes = Uint8Array.from({ length: 700_000 }, (_, index) => index % 251);
  heap.loadConfig(bytes, []);
  assert.ok(engine.memory.buffer.byteLength > before);
  assert.deepEqual(engine.input(bytes.length), bytes);
});

test('a long chunk goes in slices and none is lost', () => {
  const engine = new FakeEngine();
  const heap = new Heap(engine.module);
  heap.loadFile('w.safetensors', 2_500_000);
  heap.loadChunk(new Uint8Array(2_500_000));
  heap.loadFileEnd();
  assert.deepEqual(engine.files, [{ name: 'w.safetensors', bytes: 2_500_000, fed: 2_500_000 }]);
});

test('an input that memory has no room for is out_of_memory', () => {
  const heap = new Heap(new FakeEngine().module);
  assert.throws(() => heap.loadConfig(new Uint8Array(64 * 65536), []), withCode('out_of_memory', /4194304 bytes/));
});

test('what the engine reports is thrown with its code and its sentence', () => {
  const engine = new FakeEngine();
  engine.failures.set('_sutra_session_save', ['state_mismatch', 'another model’s']);
  assert.throws(() => new Heap(engine.module).sessionSave(1), withCode('state_mismatch', /another model’s/));
});

test('results are copies that outlive the next call', () => {
  const heap = new Heap(new FakeEngine().module);
  const first = heap.encode('abc', false);
  heap.encode('zzz', false);
  assert.deepEqual(first, Int32Array.of(0, 1, 2));
});

test('a trap is a crash and not an error of the caller', () => {
  const engine = new FakeEngine();
  engine.traps.add('_sutra_memory');
  assert.throws(() => new Heap(engine.module).memory(), { name: 'EngineCrash', message: /unreachable/ });
});

test('prompts are text or ids, with stop strings behind their sizes', () => {
  const engine = new FakeEngine();
  const heap = new Heap(engine.module);
  const { session } = heap.sessionCreate();
  const options = toWireOptions({ stop: ['é', 'end'], seed: 1 });
  assert.deepEqual(heap.generationCreate(session, 'ab', options).promptTokens, 2);
  assert.deepEqual(engine.input(15, 2), Uint8Array.of(2, 0, 0, 0, 0xc3, 0xa9, 3, 0, 0, 0, ...Buffer.from('end')));
  assert.deepEqual(heap.generationCreate(session, [5, 6, 7], options).promptTokens, 3);
  assert.deepEqual(engine.input(12), new Uint8Array(Int32Array.of(5, 6, 7).buffer));
});

test('lone surrogates become U+FFFD and not ill-formed bytes', () => {
  const engine = new FakeEngine();
  new Heap(engine.module).encode('\ud800', false);
  assert.deepEqual(engine.input(3), Uint8Array.of(0xef, 0xbf, 0xbd));
});
