// What the C++ build needs: compiler, CMake, ninja, formatter, and two header-only libraries.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheRoot, capture, onPath, say, UserError } from '../lib/run.mjs';
import { aptInstall, unpackPackages } from './apt.mjs';

const kHeaderCopy = join(cacheRoot, 'headers');
const kHeaders = ['nlohmann/json.hpp', 'CLI/CLI.hpp'];

/** CMake and ninja: wanted by every build. */
export function setupBuildTools() {
  const missing = Object.entries({ cmake: 'cmake', ninja: 'ninja-build', python3: 'python3' }).filter(
    ([program]) => !onPath(program),
  );
  if (missing.length > 0)
    aptInstall(
      'build tools',
      missing.map(([, debianPackage]) => debianPackage),
    );
  say(
    'setup',
    `build tools: ${capture('cmake', ['--version'])?.split('\n')[0]}, ninja ${capture('ninja', ['--version'])?.trim()}`,
  );
}

/** A C++23 compiler for the native program. */
export function setupCompiler() {
  if (!process.env.CXX && !onPath('c++')) aptInstall('compiler', ['g++', 'libc6-dev']);
  const version = capture(process.env.CXX || 'c++', ['--version'])?.split('\n')[0];
  if (!version) throw new UserError('compiler: no C++ compiler runs; please install g++ >= 12 or set CXX');
  say('setup', `compiler: ${version}`);
}

/**
 * The formatter in the one version that decides; another version formats a little differently.
 * @returns {string}
 */
export function setupClangFormat() {
  const isRight = (/** @type {string} */ name) => capture(name, ['--version'])?.includes('version 14.') ?? false;
  const right = () => ['clang-format-14', 'clang-format'].find(isRight);
  if (!right()) aptInstall('clang-format', ['clang-format-14']);
  const found = right();
  if (!found) throw new UserError('clang-format: version 14 is wanted; please install clang-format-14');
  return found;
}

/**
 * The Clang that fuzzes: older ones do not know all of C++23 that the engine uses.
 * @returns {string}
 */
export function setupClang() {
  const candidates = ['clang++', ...[22, 21, 20, 19].map((version) => `clang++-${version}`)];
  const isRight = (/** @type {string} */ name) =>
    Number(/version (\d+)/.exec(capture(name, ['--version']) ?? '')?.[1] ?? 0) >= 19;
  if (!candidates.some(isRight)) aptInstall('clang', ['clang-19', 'libclang-rt-19-dev']);
  const found = candidates.find(isRight);
  if (!found)
    throw new UserError('clang: version 19 or newer is wanted; please install clang-19 and libclang-rt-19-dev');
  return found;
}

/**
 * The folder that holds the header-only libraries.
 * @returns {string}
 */
export function setupHeaders() {
  const isIn = (/** @type {string} */ folder) => kHeaders.every((header) => existsSync(join(folder, header)));
  const copy = join(kHeaderCopy, 'usr/include');
  const found = ['/usr/include', '/usr/local/include', copy].find(isIn);
  if (found) return found;
  say('setup', 'headers: fetching nlohmann-json and CLI11');
  unpackPackages('headers', ['nlohmann-json3-dev', 'libcli11-dev'], kHeaderCopy);
  if (!isIn(copy)) throw new UserError('headers: please install nlohmann-json3-dev and libcli11-dev');
  return copy;
}

/**
 * The cross compiler and emulator for the NEON variants.
 */
export function setupCrossTools() {
  if (!onPath('aarch64-linux-gnu-g++') || !onPath('qemu-aarch64'))
    aptInstall('aarch64', ['g++-aarch64-linux-gnu', 'qemu-user']);
  say('setup', `aarch64: ${capture('aarch64-linux-gnu-g++', ['--version'])?.split('\n')[0]}, qemu-aarch64`);
}
