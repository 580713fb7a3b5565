// Catch2 v3: the installed one for native tests where there is one, else built from Debian's source; always built for
// wasm and, where the cross compiler is there, for aarch64. Each is built once per compiler and cached.
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheRoot, capture, run, say } from '../lib/run.mjs';
import { newerSuite, unpackSource } from './apt.mjs';

const kSource = join(cacheRoot, 'catch2-source');

/**
 * The folder of the installed Catch2's CMake package, or null where there is none of version 3.
 * @returns {string | null}
 */
function findInstalled() {
  const prefixes = [...(process.env.CMAKE_PREFIX_PATH ?? '').split(':').filter(Boolean), '/usr/local', '/usr'];
  for (const prefix of prefixes) {
    const lib = join(prefix, 'lib');
    const triplets = existsSync(lib) ? readdirSync(lib).filter((name) => name.endsWith('-linux-gnu')) : [];
    for (const place of ['lib', 'share', ...triplets.map((name) => `lib/${name}`)]) {
      const path = join(prefix, place, 'cmake/Catch2');
      const version = join(path, 'Catch2ConfigVersion.cmake');
      if (existsSync(version) && /PACKAGE_VERSION "?[3-9]\./.test(readFileSync(version, 'utf8'))) return path;
    }
  }
  return null;
}

/** Catch2's source, fetched at the first call. */
function source() {
  if (existsSync(join(kSource, 'CMakeLists.txt'))) return kSource;
  say('setup', `catch2: fetching the source from Debian ${newerSuite}`);
  const unpacked = `${kSource}.unpacking`;
  rmSync(unpacked, { recursive: true, force: true });
  unpackSource('catch2', 'catch2', unpacked);
  renameSync(unpacked, kSource);
  return kSource;
}

/**
 * Builds Catch2 for one compiler and returns the folder of its CMake package.
 * @param {string} name
 * @param {string} compilerVersion a cached build of another compiler version is not reused
 * @param {string[]} cmakeArgs
 */
function build(name, compilerVersion, cmakeArgs) {
  const prefix = join(cacheRoot, `catch2-${name}`);
  const packageFolder = join(prefix, 'lib/cmake/Catch2');
  const marker = join(prefix, '.built-with');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === compilerVersion) return packageFolder;
  const from = source();
  say('setup', `catch2: building for ${name}`);
  const work = mkdtempSync(join(tmpdir(), 'sutra-catch2-'));
  const common = [
    '-G',
    'Ninja',
    '-DCMAKE_BUILD_TYPE=Release',
    '-DCMAKE_CXX_STANDARD=23',
    '-DCMAKE_UNITY_BUILD=ON',
    '-DBUILD_TESTING=OFF',
    '-DCATCH_INSTALL_DOCS=OFF',
    '-DCATCH_INSTALL_EXTRAS=OFF',
    '-DCMAKE_INSTALL_LIBDIR=lib',
  ];
  run('cmake', ['-S', from, '-B', work, ...common, `-DCMAKE_INSTALL_PREFIX=${prefix}`, ...cmakeArgs], { quiet: true });
  run('cmake', ['--build', work, '-j2'], { quiet: true });
  rmSync(prefix, { recursive: true, force: true });
  run('cmake', ['--install', work], { quiet: true });
  rmSync(work, { recursive: true });
  writeFileSync(marker, compilerVersion);
  return packageFolder;
}

/** @returns {string} the folder of the CMake package for native tests */
export function setupNativeCatch2() {
  const installed = findInstalled();
  const compiler = process.env.CXX || 'c++';
  const path =
    installed ?? build('native', `${compiler} ${capture(compiler, ['-dumpfullversion', '-dumpversion'])}`, []);
  say('setup', `catch2: native tests use ${path}`);
  return path;
}

/**
 * @param {import('./emscripten.mjs').Emscripten} emscripten
 * @returns {string}
 */
export function setupWasmCatch2({ root, version }) {
  // Catch2 reports a failed REQUIRE by throwing, so tests (not the engine) are built with wasm exceptions.
  const toolchain = join(root, 'cmake/Modules/Platform/Emscripten.cmake');
  return build('wasm', version, [`-DCMAKE_TOOLCHAIN_FILE=${toolchain}`, '-DCMAKE_CXX_FLAGS=-fwasm-exceptions']);
}

/** @returns {string} for the cross compiler */
export function setupAarch64Catch2() {
  const compiler = 'aarch64-linux-gnu-g++';
  const target = ['-DCMAKE_SYSTEM_NAME=Linux', '-DCMAKE_SYSTEM_PROCESSOR=aarch64', `-DCMAKE_CXX_COMPILER=${compiler}`];
  return build('aarch64', String(capture(compiler, ['-dumpfullversion'])), target);
}
