// npm test: sets up, builds, and runs everything; goes on after a failing stage, and ends with `N passed, N failed`.
//   node tools/test.mjs [--only stage,stage…]
import { rmSync } from 'node:fs';
import { runMain, say, UserError } from './lib/run.mjs';
import { setup } from './setup.mjs';
import { nativeTests, neonTests, wasmTests } from './test/catch2.mjs';
import { packageChecks, sourceChecks } from './test/checks.mjs';
import { e2eTests } from './test/e2e.mjs';
import { fuzzTests } from './test/fuzz.mjs';
import { nodeTests } from './test/node_test.mjs';
import { failure, reportFolder, sum } from './test/stage.mjs';

/** @typedef {import('./test/stage.mjs').Counts} Counts */
/** @typedef {{what: string, needs: import('./setup.mjs').Component[], run: () => Counts | Promise<Counts>}} Stage */

/** @type {Record<string, Stage>} */
const kStages = {
  checks: { what: 'layers, format, lint, types', needs: ['js', 'format'], run: sourceChecks },
  tools: { what: 'set-up and server', needs: ['js'], run: () => nodeTests('tools', []) },
  native: {
    what: 'native, address and undefined-behaviour sanitizers',
    needs: ['native', 'tests'],
    run: () => nativeTests('native-debug'),
  },
  release: { what: 'native, optimised', needs: ['native', 'tests'], run: () => nativeTests('native-release') },
  scalar: { what: 'native, no SIMD', needs: ['native', 'tests'], run: () => nativeTests('native-scalar') },
  fuzz: { what: 'parsers, a minute of fuzzing each, both sanitizers', needs: ['native', 'fuzz'], run: fuzzTests },
  neon: { what: 'kernels, aarch64 in an emulator', needs: ['native', 'neon'], run: neonTests },
  wasm: { what: 'kernels, wasm in Node', needs: ['js', 'wasm', 'wasm-tests'], run: () => wasmTests('node') },
  browser: {
    what: 'kernels, wasm in Chromium',
    needs: ['js', 'wasm', 'wasm-tests', 'browser'],
    run: () => wasmTests('browser'),
  },
  js: {
    what: 'package source',
    needs: ['js', 'wasm', 'native'],
    run: () => nodeTests('js', ['native', 'wasm', 'package']),
  },
  package: {
    what: 'package as published',
    needs: ['js', 'wasm', 'native', 'browser'],
    run: () => nodeTests('package', ['native', 'wasm', 'package']),
  },
  size: { what: 'package files and size budget', needs: ['js', 'wasm'], run: packageChecks },
  e2e: { what: 'user stories in Chromium', needs: ['js', 'wasm', 'browser'], run: e2eTests },
};

/** @returns {string[]} */
function chosenStages() {
  const at = process.argv.indexOf('--only');
  if (at < 0) return Object.keys(kStages);
  const names = (process.argv[at + 1] ?? '').split(',').filter(Boolean);
  const unknown = names.find((name) => !(name in kStages));
  if (names.length === 0 || unknown)
    throw new UserError(`unknown stage '${unknown ?? ''}'; there are: ${Object.keys(kStages).join(', ')}`);
  return names;
}

/** @param {string} name @returns {Promise<Counts>} */
async function runStage(name) {
  const { what, needs, run } = kStages[name];
  console.log(`\n=== ${name}: ${what}`);
  const started = performance.now();
  /** @type {Counts} */
  let counts;
  try {
    await setup(needs);
    counts = await run();
  } catch (error) {
    // What a stage needs could not be had or built: that is a failure, and the other stages still tell something.
    counts = failure(`${name}: ${error instanceof UserError ? error.message : /** @type {Error} */ (error).stack}`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  for (const problem of counts.problems) console.log(`FAILED ${problem}`);
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  console.log(`--- ${name}: ${counts.passed} passed, ${counts.failed} failed${skipped} (${seconds} s)`);
  return counts;
}

runMain(async () => {
  const names = chosenStages();
  rmSync(reportFolder(), { recursive: true, force: true });
  /** @type {[string, Counts][]} */
  const results = [];
  for (const name of names) results.push([name, await runStage(name)]);

  const total = sum(results.map(([, counts]) => counts));
  console.log('');
  for (const [name, { passed, failed, skipped }] of results) {
    say(
      'test',
      `${name.padEnd(8)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${String(skipped).padStart(4)} skipped`,
    );
  }
  for (const problem of total.problems) say('test', `FAILED ${problem}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
