// Measures the built package in headless Chromium; npm run bench:web builds it first.
//   --model DIR [--prompt-tokens 512] [--gen-tokens 128] [--threads N] [--artefact simd128|relaxed] [--a8] [--json]
//   --model DIR --calibration TEXT [--threads N] [--artefact simd128|relaxed] [--json]: quantises a float model
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { repoRoot, runMain, UserError } from '../../tools/lib/run.mjs';
import { serve } from '../../tools/serve.mjs';
import { browserFlags } from '../../tools/test/browser_flags.mjs';

/** @param {string} name @param {string | undefined} text */
function count(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UserError(`--${name} must be a whole number from 1, found '${text}'`);
  return value;
}

function readOptions() {
  const string = /** @type {const} */ ({ type: 'string' });
  const { values } = parseArgs({
    options: {
      model: string,
      'prompt-tokens': { ...string, default: '512' },
      'gen-tokens': { ...string, default: '128' },
      threads: string,
      artefact: string,
      a8: { type: 'boolean', default: false },
      calibration: string,
      json: { type: 'boolean', default: false },
    },
  });
  const { model, threads, artefact, json } = values;
  if (model === undefined) throw new UserError('--model DIR is missing: the folder of a model');
  const inCaller = (/** @type {string} */ path) => resolve(process.env.INIT_CWD ?? '.', path);
  const folder = inCaller(model);
  if (!existsSync(join(folder, 'config.json')))
    throw new UserError(`${folder} is no model folder: it has no config.json`);
  if (artefact !== undefined && artefact !== 'simd128' && artefact !== 'relaxed')
    throw new UserError(`--artefact must be simd128 or relaxed, found '${artefact}'`);
  const text = values.calibration === undefined ? undefined : inCaller(values.calibration);
  if (text !== undefined && !existsSync(text)) throw new UserError(`${text}, the calibration text, is not there`);
  const wish = {
    promptTokens: count('prompt-tokens', values['prompt-tokens']),
    genTokens: count('gen-tokens', values['gen-tokens']),
    activationBits: /** @type {15 | 8} */ (values.a8 ? 8 : 15),
    ...(threads === undefined ? {} : { threads: count('threads', threads) }),
    ...(artefact === undefined ? {} : { artefact }),
  };
  return { folder, text, wish, json };
}

/** @returns {ReturnType<typeof readOptions>} */
function options() {
  try {
    return readOptions();
  } catch (error) {
    throw error instanceof UserError ? error : new UserError(/** @type {Error} */ (error).message);
  }
}

runMain(async () => {
  const { folder, text, wish, json } = options();
  const server = await serve({
    port: 0,
    mounts: [
      ['/dist/', join(repoRoot, 'dist')],
      ['/model/', folder],
      ...(text === undefined ? [] : [/** @type {[string, string]} */ (['/text/', dirname(text)])]),
      ['/bench/', import.meta.dirname],
    ],
  });
  const executablePath = process.env.SUTRA_CHROMIUM || process.env.CHROME_BIN || '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: browserFlags });
  try {
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (!message.location().url.endsWith('/favicon.ico')) console.error(`[page] ${message.text()}`);
    });
    await page.goto(`${server.url}bench/index.html`);
    const measured = await page.evaluate(
      async ({ text, ...wish }) => {
        const { measure, measureQuantizing } = await import(/** @type {string} */ ('/bench/page.mjs'));
        const measuring = text === undefined ? measure(wish) : measureQuantizing(text, wish);
        return measuring.catch((/** @type {Error & {hint?: string}} */ error) => ({
          error: [error.message, error.hint].filter(Boolean).join('. '),
        }));
      },
      { ...wish, ...(text === undefined ? {} : { text: `/text/${encodeURIComponent(basename(text))}` }) },
    );
    if ('error' in measured) throw new UserError(measured.error);
    const shown = Object.entries(measured).map(([key, value]) => [
      key,
      typeof value === 'number' ? Math.round(value * 100) / 100 : value,
    ]);
    if (json) process.stdout.write(`${JSON.stringify(Object.fromEntries(shown))}\n`);
    else for (const [key, value] of shown) process.stdout.write(`${String(key).padEnd(22)} ${value}\n`);
  } finally {
    await browser.close();
    await server.close();
  }
});
