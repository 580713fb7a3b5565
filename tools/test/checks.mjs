// What needs no test program: layers, format, lint, types, and what the package is made of.
import { join } from 'node:path';
import { build } from '../build.mjs';
import { checkLayers } from '../check_layers.mjs';
import { checkPackage } from '../check_package.mjs';
import { repoRoot } from '../lib/run.mjs';
import { lints, runLint } from '../lint.mjs';
import { unpinnedPackages } from '../lockfile.mjs';
import { setupPaths } from '../setup.mjs';
import { measureSizes, printSizes } from '../size.mjs';

/** @param {[name: string, problems: string[]][]} checks @returns {import('./stage.mjs').Counts} */
function count(checks) {
  const failed = checks.filter(([, problems]) => problems.length > 0);
  const problems = failed.flatMap(([name, lines]) => lines.map((line) => `${name}: ${line}`));
  return { passed: checks.length - failed.length, failed: failed.length, skipped: 0, problems };
}

export async function sourceChecks() {
  await build(['package']); // the page's types come from the package's declarations
  const { clangFormat = 'clang-format' } = setupPaths();
  const linted = lints(clangFormat, false).map(
    (lint) => /** @type {[string, string[]]} */ ([lint.name, runLint(lint) ? [] : ['see above']]),
  );
  const unpinned = unpinnedPackages(join(repoRoot, 'package-lock.json'));
  return count([...linted, ['layers', checkLayers()], ['lockfile', unpinned.map((name) => `${name} is not pinned`)]]);
}

export async function packageChecks() {
  await build(['wasm', 'package']);
  const { rows, problems } = measureSizes();
  printSizes(rows);
  return count([
    ['package files', checkPackage()],
    ['size budget', problems],
  ]);
}
