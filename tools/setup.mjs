// Puts everything on the machine that a build or a test needs, using what is already there. Run it as often as you like.
//   node tools/setup.mjs [component…]      (without: all, see allComponents)
// What was found is written to build/setup/paths.json, where CMake and the other tools read it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { cacheRoot, repoRoot, runMain, say, UserError } from './lib/run.mjs';
import { setupBrowser } from './setup/browser.mjs';
import { setupAarch64Catch2, setupNativeCatch2, setupWasmCatch2 } from './setup/catch2.mjs';
import { findEmscripten, setupEmscripten } from './setup/emscripten.mjs';
import { setupJs } from './setup/js.mjs';
import {
  setupBuildTools,
  setupClang,
  setupClangFormat,
  setupCompiler,
  setupCrossTools,
  setupHeaders,
} from './setup/native.mjs';

/**
 * What was found, and where. A tool that needs an entry has asked for its component first.
 * @typedef {{emscripten?: string, headers?: string, catch2Native?: string, catch2Wasm?: string, catch2Aarch64?: string,
 *   clangFormat?: string, clang?: string, browser?: string, node?: string}} Paths
 */

/**
 * js: npm packages, Node 24. wasm: Emscripten. native: compiler. tests, wasm-tests: Catch2. format: clang-format.
 * browser: Chromium. neon: aarch64 compiler and emulator. fuzz: Clang with libFuzzer.
 * @typedef {'js' | 'wasm' | 'native' | 'tests' | 'wasm-tests' | 'format' | 'browser' | 'neon' | 'fuzz'} Component
 * @type {Component[]}
 */
export const allComponents = ['js', 'wasm', 'native', 'tests', 'wasm-tests', 'format', 'browser', 'neon', 'fuzz'];

const kPathsFile = join(repoRoot, 'build/setup/paths.json');

/** @returns {Paths} what earlier runs found */
export function setupPaths() {
  try {
    return JSON.parse(readFileSync(kPathsFile, 'utf8'));
  } catch {
    return {};
  }
}

/** Components that this process has set up already. @type {Set<Component>} */
const done = new Set();

/**
 * @param {Component[]} components
 * @returns {Promise<Paths>}
 */
export async function setup(components) {
  if (components.every((name) => done.has(name))) return setupPaths();
  return withLock(join(cacheRoot, 'setup.lock'), () => {
    const wants = (/** @type {Component} */ name) => components.includes(name) && !done.has(name);
    const before = setupPaths();
    const paths = { ...before };
    if (wants('js')) paths.node = setupJs();
    if (wants('native') || wants('wasm')) {
      setupBuildTools();
      paths.headers = setupHeaders();
    }
    if (wants('native')) setupCompiler();
    if (wants('wasm')) paths.emscripten = setupEmscripten().root;
    if (wants('tests')) paths.catch2Native = setupNativeCatch2();
    if (wants('wasm-tests')) paths.catch2Wasm = setupWasmCatch2(findEmscripten());
    if (wants('format')) paths.clangFormat = setupClangFormat();
    if (wants('fuzz')) paths.clang = setupClang();
    if (wants('neon')) {
      setupCrossTools();
      paths.catch2Aarch64 = setupAarch64Catch2();
    }
    if (wants('browser')) paths.browser = setupBrowser();
    for (const name of components) done.add(name);
    mkdirSync(dirname(kPathsFile), { recursive: true });
    const text = `${JSON.stringify(paths, null, 2)}\n`;
    // Builds depend on this file: it is touched only when something really changed.
    if (text !== `${JSON.stringify(before, null, 2)}\n`) writeFileSync(kPathsFile, text);
    return paths;
  });
}

if (process.argv[1] === import.meta.filename) {
  runMain(async () => {
    const started = performance.now();
    const asked = process.argv.slice(2);
    const unknown = asked.find((name) => !allComponents.includes(/** @type {Component} */ (name)));
    if (unknown) throw new UserError(`unknown component '${unknown}'; there are: ${allComponents.join(', ')}`);
    await setup(asked.length > 0 ? /** @type {Component[]} */ (asked) : allComponents);
    say('setup', `done in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  });
}
