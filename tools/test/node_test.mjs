// Tests in JavaScript and TypeScript, with node:test under Node 24.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../build.mjs';
import { repoRoot } from '../lib/run.mjs';
import { setupPaths } from '../setup.mjs';
import { failure, readReport, reportFolder, runTests } from './stage.mjs';

/**
 * @param {string} name of a folder in tests/
 * @param {import('../build.mjs').Product[]} products that the tests use
 */
export async function nodeTests(name, products) {
  const folder = join(repoRoot, 'tests', name);
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  const tests = files.filter((file) => /\.test\.(mjs|js|ts)$/.test(file)).sort();
  if (tests.length === 0) return failure(`${name}: there is no tests/${name}/*.test.*`);
  if (products.length > 0) await build(products);
  const report = join(reportFolder(), `${name}.json`);
  rmSync(report, { force: true });
  const reporters = [
    ['--test-reporter=spec', '--test-reporter-destination=stdout'],
    [`--test-reporter=${join(import.meta.dirname, 'count_reporter.mjs')}`, `--test-reporter-destination=${report}`],
  ];
  const args = ['--test', '--test-timeout=600000', '--test-concurrency=1', ...reporters.flat()];
  const { node = process.execPath } = setupPaths();
  const ended = runTests(node, [...args, ...tests.map((file) => join(folder, file))]);
  return readReport(name, report, ended, (text) => {
    const { counts, deaths } = JSON.parse(text);
    for (const death of deaths) console.log(death);
    return {
      passed: counts.passed,
      failed: counts.failed + counts.cancelled,
      skipped: counts.skipped + counts.todo,
    };
  });
}
