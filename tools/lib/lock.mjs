// One setup or build at a time: two npm commands started together must not unpack into the same folder.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './run.mjs';

/** Locks that this process holds: what they protect may be asked for again inside. @type {Set<string>} */
const held = new Set();

/**
 * Runs `work` while holding the lock at `path`; waits for another holder, and takes over from one that has died.
 * @template T
 * @param {string} path
 * @param {() => Promise<T> | T} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  if (held.has(path)) return work();
  mkdirSync(dirname(path), { recursive: true });
  for (let waited = 0; !tryLock(path); waited++) {
    if (waited === 0) say('setup', `waiting for process ${holder(path) ?? '?'}, which is setting up or building`);
    await sleep(500);
  }
  held.add(path);
  const release = () => rmSync(path, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
    held.delete(path);
  }
}

/** @param {string} path */
function tryLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const pid = holder(path);
    if (pid !== null && !isAlive(pid)) rmSync(path, { force: true });
    return false;
  }
}

/** @param {string} path */
function holder(path) {
  try {
    return Number(readFileSync(path, 'utf8')) || null;
  } catch {
    return null;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
