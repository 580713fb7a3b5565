// Runs a test module inside Chromium.   node tools/test/wasm_in_browser.mjs MODULE REPORT
import { writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { chromium } from '@playwright/test';
import { serve } from '../serve.mjs';
import { browserFlags } from './browser_flags.mjs';

const [modulePath, reportPath] = process.argv.slice(2);
const server = await serve({
  port: 0,
  mounts: [
    ['/module/', dirname(modulePath)],
    ['/', import.meta.dirname],
  ],
});
const browser = await chromium.launch({
  executablePath: process.env.SUTRA_CHROMIUM || '/usr/bin/chromium',
  args: browserFlags,
});
try {
  const page = await browser.newPage();
  page.on('console', (message) => {
    if (message.type() === 'log') console.log(message.text());
  });
  page.on('pageerror', (error) => console.error(error));
  await page.goto(`${server.url}page/index.html#/module/${basename(modulePath)}`);
  // The page's script may not have run yet; its promise settles when the tests have.
  await page.waitForFunction(() => 'sutraReport' in globalThis);
  writeFileSync(reportPath, await page.evaluate(() => /** @type {any} */ (globalThis).sutraReport));
} finally {
  await browser.close();
  await server.close();
}
