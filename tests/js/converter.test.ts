import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConverterHeap, type ConverterModule } from '../../bindings/js/converter.ts';
import { engineErrorCodes } from '../../bindings/js/errors.ts';

const replyAt = 1024;
const replyWords = 6;

/** A converter whose every tensor is `sizeBytes` at an address; as bindings/wasm, it reports what was refused. */
function fakeConverter(address: number, sizeBytes: number): { heap: ConverterHeap; memory: WebAssembly.Memory } {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const outOfMemory = engineErrorCodes.indexOf('out_of_memory') + 1;
  const module: Partial<ConverterModule> = {
    wasmMemory: memory,
    _sutra_weights_begin: () => replyAt,
    _sutra_convert_next: () => {
      const refused = module.written!(address, sizeBytes) === 0;
      new Uint32Array(memory.buffer, replyAt, replyWords)[0] = refused ? outOfMemory : 0;
      return replyAt;
    },
  };
  return { heap: new ConverterHeap(module as ConverterModule), memory };
}

test('bytes are copied while they are written, and taken once', async () => {
  const { heap, memory } = fakeConverter(64, 3);
  new Uint8Array(memory.buffer).set([7, 8, 9], 64);
  const [first, ...others] = heap.convertNext();
  assert.equal(others.length, 0);
  new Uint8Array(memory.buffer).fill(0, 64, 67);
  assert.deepEqual(new Uint8Array(await first!.arrayBuffer()), new Uint8Array([7, 8, 9]));
  assert.deepEqual(new Uint8Array(await heap.convertNext()[0]!.arrayBuffer()), new Uint8Array(3));
});

test('bytes that there is no room for are an error of the work, not a trap', () => {
  const { heap } = fakeConverter(64, 2 ** 20);
  assert.throws(() => heap.convertNext(), { code: 'out_of_memory' });
});
