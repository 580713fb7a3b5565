// Holds what people download to its budget; prints a table, exits 1 when something is over.   npm run size
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { modules } from './build.mjs';
import { repoRoot, runMain } from './lib/run.mjs';

const kWasmBytes = 1_000_000;
const kWasmGzipBytes = 350_000;
/** It runs models and has the search besides; fetched by those who quantise. */
const kQuantizerGzipBytes = 420_000;
const kJsGzipBytes = 25_000;

/** @typedef {{what: string, bytes: number, limit: number}} Row */

/** @param {string} name in dist/ */
function measure(name) {
  const path = join(repoRoot, 'dist', name);
  if (!existsSync(path)) return { bytes: Number.NaN, gzip: Number.NaN };
  const data = readFileSync(path);
  return { bytes: data.length, gzip: gzipSync(data, { level: 9 }).length };
}

/**
 * The files, and what they import before anything runs: what is fetched when it is wanted is not among them.
 * @param {string[]} names
 * @returns {Set<string>}
 */
function withImports(names) {
  const all = new Set(names);
  for (const name of all) {
    const path = join(repoRoot, 'dist', name);
    const code = existsSync(path) ? readFileSync(path, 'utf8') : '';
    for (const [, imported] of code.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) all.add(imported);
  }
  return all;
}

/** @returns {{rows: Row[], problems: string[]}} problems: rows over budget, files that are missing, dependencies */
export function measureSizes() {
  /** @type {Row[]} */
  const rows = [];
  for (const name of modules) {
    const { bytes, gzip } = measure(`sutra-${name}.wasm`);
    rows.push({ what: `sutra-${name}.wasm`, bytes, limit: kWasmBytes });
    const limit = name.startsWith('quantizer') ? kQuantizerGzipBytes : kWasmGzipBytes;
    rows.push({ what: `sutra-${name}.wasm, gzip`, bytes: gzip, limit });
  }
  // A page loads the package, the worker, and one of the two start-up codes.
  const glue = Math.max(measure('sutra-st.mjs').gzip, measure('sutra-mt.mjs').gzip);
  const js = [...withImports(['index.js', 'worker.js'])].reduce((bytes, name) => bytes + measure(name).gzip, glue);
  rows.push({ what: 'JavaScript that a page loads, gzip', bytes: js, limit: kJsGzipBytes });

  const problems = rows
    .filter((row) => !(row.bytes <= row.limit))
    .map((row) => `${row.what}: ${row.bytes} > ${row.limit} bytes`);
  const manifest = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
    if (manifest[kind]) problems.push(`package.json has ${kind}: the package is to have none`);
  }
  return { rows, problems };
}

/** @param {Row[]} rows */
export function printSizes(rows) {
  for (const { what, bytes, limit } of rows) {
    const verdict = bytes <= limit ? 'ok' : 'OVER';
    console.log(`${what.padEnd(44)} ${String(bytes).padStart(9)} of ${String(limit).padStart(9)}  ${verdict}`);
  }
}

if (process.argv[1] === import.meta.filename) {
  runMain(() => {
    const { rows, problems } = measureSizes();
    printSizes(rows);
    for (const problem of problems) console.error(`over budget: ${problem}`);
    return problems.length > 0 ? 1 : 0;
  });
}
