// Holds dist/ to what package.json promises, and each artefact to the instruction set in its name.   node tools/check_package.mjs
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modules } from './build.mjs';
import { capture, onPath, repoRoot, runMain } from './lib/run.mjs';
import { setupPaths } from './setup.mjs';

/** @returns {string[]} one line for each problem */
export function checkPackage() {
  const problems = [];
  const manifest = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
  const promised = [
    ...Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? target : Object.values(target),
    ),
  ];
  for (const path of [...promised, manifest.types, ...manifest.files, ...manifest.sideEffects]) {
    if (!existsSync(join(repoRoot, path))) problems.push(`package.json names ${path}, which does not exist`);
  }
  for (const artefact of modules) problems.push(...checkArtefact(artefact));
  problems.push(...checkUrls());
  return problems;
}

/** Bundlers look for exactly this form, and leave a file out that they do not find in it. */
function checkUrls() {
  const dist = join(repoRoot, 'dist');
  const scripts = readdirSync(dist).filter((name) => name.endsWith('.js'));
  const code = scripts.map((name) => readFileSync(join(dist, name), 'utf8')).join('\n');
  return ['worker.js', ...modules.map((artefact) => `sutra-${artefact}.wasm`)]
    .map((name) => `new URL("./${name}",import.meta.url)`)
    .filter((url) => !code.includes(url))
    .map((url) => `dist/*.js: bundlers do not find ${url}`);
}

/** A browser without a feature refuses a whole module for one instruction of it. @param {string} artefact */
function checkArtefact(artefact) {
  const path = join(repoRoot, `dist/sutra-${artefact}.wasm`);
  if (!existsSync(path)) return [`dist/sutra-${artefact}.wasm does not exist`];
  const text = capture(disassembler(), [path]);
  if (text === null) return [`dist/sutra-${artefact}.wasm cannot be disassembled`];
  const problems = [];
  const isRelaxed = artefact.includes('relaxed');
  const isShared = artefact.endsWith('mt');
  if (text.includes('relaxed') !== isRelaxed)
    problems.push(`sutra-${artefact}.wasm: relaxed SIMD ${isRelaxed ? 'missing' : 'inside'}`);
  if (/\(memory [^)]*shared\)/.test(text) !== isShared)
    problems.push(`sutra-${artefact}.wasm: shared memory ${isShared ? 'missing' : 'inside'}`);
  if (!text.includes('v128')) problems.push(`sutra-${artefact}.wasm: no SIMD inside`);
  return problems;
}

/** Binaryen's, which every Emscripten brings. */
function disassembler() {
  const root = setupPaths().emscripten ?? '';
  const places = [join(root, '../../bin/wasm-dis'), join(root, '../bin/wasm-dis')];
  return places.find((path) => existsSync(path)) ?? onPath('wasm-dis') ?? 'wasm-dis';
}

if (process.argv[1] === import.meta.filename) {
  runMain(() => {
    const problems = checkPackage();
    for (const problem of problems) console.error(problem);
    return problems.length > 0 ? 1 : 0;
  });
}
