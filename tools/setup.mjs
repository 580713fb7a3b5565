// Puts everything on the machine that a build or a test needs, using what is already there. Run it as often as you like.
//   node tools/setup.mjs [js] [wasm] [native] [browser] [neon]      (without arguments: all)
// What was found is written to build/setup/paths.json, where CMake and the other tools read it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { cacheRoot, repoRoot, runMain, say, UserError } from './lib/run.mjs';
import { setupBrowser } from './setup/browser.mjs';
import { setupAarch64Catch2, setupNativeCatch2, setupWasmCatch2 } from './setup/catch2.mjs';
import { setupEmscripten } from './setup/emscripten.mjs';
import { setupJs } from './setup/js.mjs';
import { setupBuildTools, setupClangFormat, setupCompiler, setupCrossTools, setupHeaders } from './setup/native.mjs';

/**
 * What was found, and where. A tool that needs an entry has asked for its component first.
 * @typedef {{emscripten?: string, headers?: string, catch2Native?: string, catch2Wasm?: string, catch2Aarch64?: string,
 *   clangFormat?: string, browser?: string, node?: string}} Paths
 */

/**
 * js: npm packages, Node 24. wasm: Emscripten. native: compiler. tests: Catch2, clang-format.
 * @typedef {'js' | 'wasm' | 'native' | 'tests' | 'browser' | 'neon'} Component
 * @type {Component[]}
 */
export const allComponents = ['js', 'wasm', 'native', 'tests', 'browser', 'neon'];

const kPathsFile = join(repoRoot, 'build/setup/paths.json');

/** @returns {Paths} what earlier runs found */
export function setupPaths() {
  try {
    return JSON.parse(readFileSync(kPathsFile, 'utf8'));
  } catch {
    return {};
  }
}

/**
 * @param {Component[]} components
 * @returns {Promise<Paths>}
 */
export function setup(components) {
  return withLock(join(cacheRoot, 'setup.lock'), () => {
    const wants = (/** @type {Component} */ name) => components.includes(name);
    const before = setupPaths();
    const paths = { ...before };
    if (wants('js')) paths.node = setupJs();
    if (wants('native') || wants('wasm')) {
      setupBuildTools();
      paths.headers = setupHeaders();
    }
    if (wants('native')) setupCompiler();
    if (wants('wasm')) {
      const emscripten = setupEmscripten();
      paths.emscripten = emscripten.root;
      if (wants('tests')) paths.catch2Wasm = setupWasmCatch2(emscripten);
    }
    if (wants('tests')) {
      paths.clangFormat = setupClangFormat();
      paths.catch2Native = setupNativeCatch2();
    }
    if (wants('neon')) {
      setupCrossTools();
      paths.catch2Aarch64 = setupAarch64Catch2() ?? undefined;
    }
    if (wants('browser')) paths.browser = setupBrowser();
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
