// Holds #include and import to the layer table of ARCHITECTURE.md.   node tools/check_layers.mjs
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot, runMain } from './lib/run.mjs';

const kBelowQuant = ['base', 'tensor', 'io', 'kernels', 'text', 'sample'];
const kBelowModel = [...kBelowQuant, 'quant'];
const kBelowTrain = [...kBelowModel, 'model'];

/** What a folder of src/ may include besides itself. @type {Record<string, string[]>} */
const kMayInclude = {
  base: [],
  tensor: ['base'],
  io: ['base', 'tensor'],
  kernels: ['base', 'tensor'],
  text: ['base'],
  sample: ['base'],
  quant: kBelowQuant,
  model: kBelowModel,
  train: kBelowTrain,
  runtime: [...kBelowTrain, 'train'],
  cli: ['base', 'runtime'], // base: the Error and Result that runtime hands out
};

/** @param {string} folder @param {RegExp} wanted @returns {string[]} paths relative to the repository */
function filesIn(folder, wanted) {
  const root = join(repoRoot, folder);
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => wanted.test(name) && !/(^|\/)(node_modules|dist)\//.test(name))
    .map((name) => join(folder, name));
}

/** @param {string} path @param {RegExp} pattern with one group @returns {string[]} */
function allMatches(path, pattern) {
  return [...readFileSync(join(repoRoot, path), 'utf8').matchAll(pattern)].map((match) => match[1]);
}

/** @returns {string[]} one line for each breach */
export function checkLayers() {
  const problems = [];
  for (const path of [...filesIn('src', /\.(h|cpp)$/), ...filesIn('bindings/wasm', /\.(h|cpp)$/)]) {
    const layer = path.startsWith('src/') ? path.split('/')[1] : 'cli'; // the module sees what a program sees
    const allowed = kMayInclude[layer];
    if (!allowed) problems.push(`${path}: src/${layer}/ is not in the layer table`);
    for (const included of allMatches(path, /^#include "([a-z0-9_]+)\//gm)) {
      if (allowed && included !== layer && !allowed.includes(included))
        problems.push(`${path}: ${layer} may not include ${included}`);
    }
  }
  const imports = /\b(?:from\s+|import\s+|import\s*\(\s*)'([^']+)'/g;
  for (const path of filesIn('web/src', /\.tsx?$/)) {
    for (const name of allMatches(path, imports)) {
      if (/bindings\/|(^|\/)dist\/|\.\.\/web/.test(name))
        problems.push(`${path}: the page imports the package by its name, not '${name}'`);
    }
  }
  for (const path of filesIn('bindings/js', /\.ts$/)) {
    for (const name of allMatches(path, imports)) {
      if (!name.startsWith('./') && !name.startsWith('node:'))
        problems.push(`${path}: the package imports nothing from outside: '${name}'`);
    }
  }
  return problems;
}

if (process.argv[1] === import.meta.filename) {
  runMain(() => {
    const problems = checkLayers();
    for (const problem of problems) console.error(problem);
    return problems.length > 0 ? 1 : 0;
  });
}
