// Chromium and a server of the built package, for the tests of one file.
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { serve } from '../../tools/serve.mjs';
import { browserFlags } from '../../tools/test/browser_flags.mjs';

const project = join(import.meta.dirname, '../..');

/** Started before the file's tests, ended after them. `mounts`: what is served besides, from '/name/' to a folder. */
export function useBrowser(mounts: [prefix: string, folder: string][]) {
  let browser: Browser | undefined;
  let server: Awaited<ReturnType<typeof serve>> | undefined;
  before(async () => {
    server = await serve({
      port: 0,
      mounts: [['/dist/', join(project, 'dist')], ['/bench/', join(project, 'bench/web')], ...mounts],
    });
    const executablePath = process.env.SUTRA_CHROMIUM || process.env.CHROME_BIN || '/usr/bin/chromium';
    browser = await chromium.launch({ executablePath, args: browserFlags });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Runs `work` on a page of its own that may import /dist/index.js. */
  return async <T>(work: (page: Page) => Promise<T>): Promise<T> => {
    const page = await browser!.newPage();
    try {
      await page.goto(`${server!.url}bench/index.html`);
      return await work(page);
    } finally {
      await page.close();
    }
  };
}
