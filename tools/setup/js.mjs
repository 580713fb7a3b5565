// The npm packages of the lockfile, and a Node that has relaxed SIMD.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, repoRoot, run, say, UserError } from '../lib/run.mjs';

const kMinimumNode = 24; // older V8s lack relaxed SIMD or get it wrong

/**
 * Installs what the lockfile says if that is not what is there; returns the Node to run tests with.
 * @returns {string}
 */
export function setupJs() {
  const modules = join(repoRoot, 'node_modules');
  const stamp = join(modules, '.installed-lockfile');
  const lockfile = createHash('sha256')
    .update(readFileSync(join(repoRoot, 'package-lock.json')))
    .digest('hex');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lockfile) {
    say('setup', 'npm packages: installing');
    // npm's own warnings would be about the Node that runs setup, which need not be the one that runs tests.
    run('npm', ['ci', '--loglevel=error'], {
      cwd: repoRoot,
      quiet: true,
      env: { PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
    });
    writeFileSync(stamp, lockfile);
  }
  const candidates = [join(modules, 'node/bin/node'), process.execPath];
  const found = candidates.find(
    (path) => Number.parseInt(capture(path, ['-p', 'process.versions.node']) ?? '0', 10) >= kMinimumNode,
  );
  if (!found)
    throw new UserError(
      `node: the npm package 'node' brought no Node >= ${kMinimumNode} for this system; please install one and run npm with it`,
    );
  say(
    'setup',
    `npm packages: in place; tests run under Node ${capture(found, ['-p', 'process.versions.node'])?.trim()}`,
  );
  return found;
}
