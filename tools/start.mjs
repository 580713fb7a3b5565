// npm start: from a fresh clone to the working page.   node tools/start.mjs [--no-open]
import { spawn } from 'node:child_process';
import { build } from './build.mjs';
import { onPath, runMain, say } from './lib/run.mjs';
import { portFromEnvironment, serve } from './serve.mjs';

/** Opens the address where there is a desktop to open it on. @param {string} url */
function openBrowser(url) {
  const isMac = process.platform === 'darwin';
  const opener = isMac ? 'open' : 'xdg-open';
  const hasDesktop = isMac || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (!hasDesktop || process.env.CI || !onPath(opener)) return;
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}

runMain(async () => {
  const port = portFromEnvironment();
  await build(['wasm', 'package', 'web']);
  const { url } = await serve({ port, host: process.env.HOST || 'localhost' });
  say('start', `Sutra is at ${url}   (Ctrl+C stops it)`);
  if (!process.argv.includes('--no-open')) openBrowser(url);
});
