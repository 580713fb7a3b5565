// Doing a step only when its inputs changed.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repoRoot } from './run.mjs';

const kSkipped = new Set(['node_modules', 'dist', '.git']);

/**
 * Runs `work` unless its inputs are as they were when it last succeeded and its outputs are still there.
 * @param {string} name
 * @param {string[]} inputs files and folders, relative to the repository
 * @param {string[]} outputs
 * @param {() => void | Promise<void>} work
 * @returns {Promise<boolean>} whether it was run
 */
export async function ifChanged(name, inputs, outputs, work) {
  const stamp = join(repoRoot, 'build/setup', `${name}.stamp`);
  const now = fingerprint(inputs);
  const isThere = outputs.every((path) => existsSync(join(repoRoot, path)));
  if (isThere && existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return false;
  rmSync(stamp, { force: true });
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, now);
  return true;
}

/** Names, sizes and times: reading every file would take longer than many of the steps. @param {string[]} inputs */
function fingerprint(inputs) {
  const hash = createHash('sha256');
  const visit = (/** @type {string} */ path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return;
    if (!stat.isDirectory()) {
      hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`);
      return;
    }
    for (const name of readdirSync(path).sort()) if (!kSkipped.has(name)) visit(join(path, name));
  };
  for (const input of inputs) visit(join(repoRoot, input));
  return hash.digest('hex');
}
