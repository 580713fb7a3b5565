// The page as people meet it: the built page and the shipped models behind tools/serve.mjs, in Chromium.
// Needs web/dist (node tools/build.mjs wasm package web). SUTRA_CHROMIUM names another browser program.
import { defineConfig } from '@playwright/test';
import { browserFlags } from '../tools/test/browser_flags.mjs';
import { isolatedPort, plainPort } from './support/servers.ts';

const serve = (port: number, ...options: string[]) => ({
  command: `node tools/serve.mjs ${options.join(' ')}`,
  cwd: '..',
  env: { PORT: String(port) },
  url: `http://localhost:${port}/`,
  reuseExistingServer: false,
});

export default defineConfig({
  testDir: 'specs',
  outputDir: 'results',
  // The engine uses all cores: tests beside each other would only wait for one another.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  forbidOnly: process.env.CI !== undefined,
  use: {
    baseURL: `http://localhost:${isolatedPort}/`,
    viewport: { width: 1280, height: 800 },
    trace: 'retain-on-failure',
    launchOptions: { executablePath: process.env.SUTRA_CHROMIUM ?? '/usr/bin/chromium', args: browserFlags },
  },
  webServer: [serve(isolatedPort), serve(plainPort, '--no-isolation')],
});
