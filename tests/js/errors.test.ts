import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  abortError,
  engineErrorCodes,
  fromErrorData,
  isAbort,
  SutraError,
  toErrorData,
} from '../../bindings/js/errors.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the error codes are those of src/base/error.h, in its order', () => {
  const header = read('src/base/error.h').match(/enum class ErrorCode[^{]*\{([^}]*)\}/)![1]!;
  const numbered = [...header.matchAll(/(k\w+) = (\d+)/g)].map(([, name, number]) => [name, Number(number)] as const);
  assert.deepEqual(
    numbered.map(([, number]) => number),
    engineErrorCodes.map((_, index) => index + 1),
  );
  const names = new Map(
    [...read('src/base/error.cpp').matchAll(/ErrorCode::(k\w+): return "(\w+)"/g)].map(([, key, name]) => [key, name]),
  );
  assert.deepEqual(
    numbered.map(([key]) => names.get(key)),
    [...engineErrorCodes],
  );
});

test('an error keeps code, message, hint and cause on its way between threads', () => {
  const error = new SutraError('truncated', 'the file ends', { hint: 'copy it again', cause: new Error('why') });
  const copy = fromErrorData(structuredClone(toErrorData(error)));
  assert.ok(copy instanceof SutraError);
  assert.deepEqual(
    [copy.code, copy.message, copy.hint, copy.cause],
    ['truncated', 'the file ends', 'copy it again', 'Error: why'],
  );
});

test('an abort stays an AbortError on its way between threads', () => {
  assert.ok(isAbort(fromErrorData(toErrorData(abortError()))));
});

test('every error that a person can cause has a hint', () => {
  for (const code of ['truncated', 'malformed', 'out_of_memory', 'state_mismatch', 'worker_crashed'] as const)
    assert.notEqual(new SutraError(code, 'x').hint, '', code);
});

test('anything unexpected becomes an internal error with its text', () => {
  const data = toErrorData(new TypeError('x is undefined'));
  assert.equal(data.code, 'internal');
  assert.match(data.message, /x is undefined/);
});
