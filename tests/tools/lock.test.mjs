// Two commands started together take turns.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { withLock } from '../../tools/lib/lock.mjs';

const work = mkdtempSync(join(tmpdir(), 'sutra-lock-'));
after(() => rmSync(work, { recursive: true }));

test('the lock is held during the work and released after it, also when the work fails', async () => {
  const path = join(work, 'a.lock');
  assert.equal(await withLock(path, () => existsSync(path)), true);
  assert.equal(existsSync(path), false);
  await assert.rejects(() => withLock(path, () => Promise.reject(new Error('no'))), /no/);
  assert.equal(existsSync(path), false);
});

test('a process that holds the lock may ask for it again', async () => {
  const path = join(work, 'b.lock');
  assert.equal(await withLock(path, () => withLock(path, () => 7)), 7);
});

test('the lock of a process that died is taken over', async () => {
  const path = join(work, 'c.lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(path, String(pid));
  assert.equal(await withLock(path, () => 7), 7);
});
