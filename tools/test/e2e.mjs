// The user stories in e2e/, with Playwright in Chromium.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../build.mjs';
import { repoRoot } from '../lib/run.mjs';
import { setupPaths } from '../setup.mjs';
import { readReport, reportFolder, runTests } from './stage.mjs';

export async function e2eTests() {
  await build(['wasm', 'package', 'web']);
  const { node = process.execPath, browser = '' } = setupPaths();
  const report = join(reportFolder(), 'e2e.json');
  rmSync(report, { force: true });
  const playwright = join(repoRoot, 'node_modules/@playwright/test/cli.js');
  const config = join(repoRoot, 'e2e/playwright.config.ts');
  const ended = runTests(node, [playwright, 'test', '--config', config, '--reporter=list,json'], {
    SUTRA_CHROMIUM: browser,
    PLAYWRIGHT_JSON_OUTPUT_NAME: report,
  });
  // A test that passed only when tried again is counted as failed: somebody has to look at it.
  return readReport('e2e', report, ended, (text) => {
    const { stats } = JSON.parse(text);
    return { passed: stats.expected, failed: stats.unexpected + stats.flaky, skipped: stats.skipped };
  });
}
