// Writes package-lock.json anew, after a change of package.json or web/package.json.   node tools/lockfile.mjs
// npm looks at an existing node_modules and then forgets the packages of other platforms, so this happens elsewhere.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot, run, runMain, say, UserError } from './lib/run.mjs';

/**
 * Optional packages that the lockfile names but does not pin: with one, `npm ci` fails on some platform.
 * @param {string} path
 * @returns {string[]}
 */
export function unpinnedPackages(path) {
  /** @type {Record<string, {optionalDependencies?: Record<string, string>}>} */
  const packages = JSON.parse(readFileSync(path, 'utf8')).packages;
  const pinned = new Set(Object.keys(packages).map((key) => key.replace(/^.*node_modules\//, '')));
  const named = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  return named.filter((name) => !pinned.has(name));
}

if (process.argv[1] === import.meta.filename) {
  runMain(() => {
    const work = mkdtempSync(join(tmpdir(), 'sutra-lockfile-'));
    mkdirSync(join(work, 'web'));
    for (const name of ['package.json', '.npmrc', 'web/package.json'])
      copyFileSync(join(repoRoot, name), join(work, name));
    run('npm', ['install', '--package-lock-only', '--loglevel=error'], { cwd: work, quiet: true });
    const lockfile = join(work, 'package-lock.json');
    const unpinned = unpinnedPackages(lockfile);
    if (unpinned.length > 0) {
      throw new UserError(
        `the registry does not have ${unpinned.join(', ')}; choose versions that exist for every platform (overrides in package.json)`,
      );
    }
    copyFileSync(lockfile, join(repoRoot, 'package-lock.json'));
    rmSync(work, { recursive: true });
    say('lockfile', 'written; node tools/setup.mjs js installs it');
  });
}
