// The counts of npm test: a program that dies, or that runs nothing, is a failure.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readCatch2 } from '../../tools/test/catch2.mjs';
import { readReport } from '../../tools/test/stage.mjs';

const work = mkdtempSync(join(tmpdir(), 'sutra-report-'));
after(() => rmSync(work, { recursive: true }));

/** @param {{passed: number, failed: number, skipped: number}} cases @param {boolean} ok */
function count(cases, ok) {
  const path = join(work, 'report.xml');
  const totals = `successes="${cases.passed}" failures="${cases.failed}" expectedFailures="0" skips="${cases.skipped}"`;
  writeFileSync(path, `<Catch2TestRun>\n  <OverallResultsCases ${totals}/>\n</Catch2TestRun>\n`);
  const { passed, failed, skipped } = readReport('x', path, { ok, how: 'exit status 1' }, readCatch2);
  return { passed, failed, skipped };
}

test('passed, failed and skipped tests are counted as reported', () => {
  assert.deepEqual(count({ passed: 5, failed: 2, skipped: 1 }, false), { passed: 5, failed: 2, skipped: 1 });
  assert.deepEqual(count({ passed: 5, failed: 0, skipped: 0 }, true), { passed: 5, failed: 0, skipped: 0 });
});

test('a program that ends badly after a clean report is one failure', () => {
  assert.deepEqual(count({ passed: 5, failed: 0, skipped: 0 }, false), { passed: 5, failed: 1, skipped: 0 });
});

test('a program that ran no test is one failure', () => {
  assert.deepEqual(count({ passed: 0, failed: 0, skipped: 3 }, true), { passed: 0, failed: 1, skipped: 3 });
});

test('a missing or broken report is one failure', () => {
  const ended = { ok: true, how: 'exit status 0' };
  assert.equal(readReport('x', join(work, 'none.xml'), ended, readCatch2).failed, 1);
  writeFileSync(join(work, 'broken.xml'), '<Catch2TestRun>\n  <TestCase');
  assert.equal(readReport('x', join(work, 'broken.xml'), ended, readCatch2).failed, 1);
});
