import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkedIds, toWireOptions } from '../../bindings/js/options.ts';
import type { GenerateOptions } from '../../bindings/js/types.ts';
import { withCode } from './support.ts';

test('defaults are those of the documentation', () => {
  const { seed, ...rest } = toWireOptions({});
  assert.ok(Number.isInteger(seed));
  assert.deepEqual(rest, {
    maxTokens: 256,
    topK: 0,
    temperature: 1,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    logprobs: false,
    stop: [],
  });
});

test('without a seed every call has its own', () => {
  assert.notEqual(toWireOptions({}).seed, toWireOptions({}).seed);
  assert.equal(toWireOptions({ seed: 7 }).seed, 7);
});

test('counts that are not whole numbers are refused by name', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '3' as unknown as number])
    for (const name of ['maxTokens', 'topK', 'seed'] as const)
      assert.throws(() => toWireOptions({ [name]: value }), withCode('invalid_argument', new RegExp(name)));
});

test('values of another type are refused, NaN is left to the engine', () => {
  assert.throws(
    () => toWireOptions({ temperature: 'hot' } as unknown as GenerateOptions),
    withCode('invalid_argument'),
  );
  assert.throws(() => toWireOptions({ stop: [3] } as unknown as GenerateOptions), withCode('invalid_argument'));
  assert.ok(Number.isNaN(toWireOptions({ temperature: Number.NaN }).temperature));
});

test('token ids that 32 bits would bend are refused', () => {
  for (const id of [-1, 2 ** 31, 0.5, Number.NaN]) assert.throws(() => checkedIds([id]), withCode('invalid_argument'));
  assert.throws(() => checkedIds('12' as never), withCode('invalid_argument'));
  assert.deepEqual(checkedIds([0, 2 ** 31 - 1]), [0, 2 ** 31 - 1]);
});
