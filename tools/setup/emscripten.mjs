// Emscripten >= 4: the one that is there, else a private copy unpacked from a newer Debian suite.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheRoot, capture, folder, onPath, run, say, UserError } from '../lib/run.mjs';
import { newerSuite, unpackPackages } from './apt.mjs';

const kMinimumMajor = 4; // the first with the final relaxed-SIMD opcodes and the embind options used here
const kCopy = join(cacheRoot, `emscripten-${newerSuite}`);

/** @typedef {{root: string, version: string}} Emscripten root: the folder that holds emcc */

/** @returns {Emscripten} the one that is there, else a copy fetched now */
export function findEmscripten() {
  return findInstalled() ?? findCopy() ?? installCopy();
}

/** @returns {Emscripten} with its system libraries built */
export function setupEmscripten() {
  const found = findEmscripten();
  say('setup', `emscripten: using ${found.root} (${found.version})`);
  buildSystemLibraries(found);
  return found;
}

/** @returns {Emscripten | null} */
function findInstalled() {
  const fromEmsdk = process.env.EMSDK ? join(process.env.EMSDK, 'upstream/emscripten') : null;
  const emcc = onPath('emcc');
  for (const root of [fromEmsdk, emcc && dirname(realpathSync(emcc))]) {
    if (!root || !existsSync(join(root, 'emcc'))) continue;
    const version = readVersion(root);
    if (version && Number.parseInt(version, 10) >= kMinimumMajor) return { root, version };
    say(
      'setup',
      `emscripten: ${root} is version ${version ?? 'unknown'}, which is older than ${kMinimumMajor}: not used`,
    );
  }
  return null;
}

/** @returns {Emscripten | null} */
function findCopy() {
  const root = join(kCopy, 'usr/share/emscripten');
  const version = existsSync(join(kCopy, '.complete')) ? readVersion(root) : null;
  return version ? { root, version } : null;
}

/** @param {string} root */
function readVersion(root) {
  try {
    return readFileSync(join(root, 'emscripten-version.txt'), 'utf8').replaceAll('"', '').trim();
  } catch {
    return null;
  }
}

/** @returns {Emscripten} */
function installCopy() {
  if (!onPath('python3')) throw new UserError('emscripten: needs python3 >= 3.10; please install it');
  say('setup', `emscripten: fetching from Debian ${newerSuite} into ${kCopy} (about 160 MB, one to two minutes)`);
  rmSync(kCopy, { recursive: true, force: true });
  unpackPackages('emscripten', ['emscripten', 'patchelf'], kCopy);
  const llvm = bindToCopy();
  const root = join(kCopy, 'usr/share/emscripten');
  // emcc's own JavaScript finds its modules beside itself, and its settings in the file .emscripten. It runs them
  // with the node on PATH: the copy's own node wants its modules in /usr/share.
  symlinkSync('../nodejs', join(root, 'node_modules'));
  const settings = {
    LLVM_ROOT: join(llvm, 'bin'),
    BINARYEN_ROOT: join(kCopy, 'usr'),
    CACHE: folder(join(kCopy, 'cache')),
  };
  writeFileSync(
    join(root, '.emscripten'),
    Object.entries(settings)
      .map(([key, value]) => `${key} = '${value}'\n`)
      .join(''),
  );
  const copy = { root, version: readVersion(root) ?? 'unknown' };
  if (capture(join(root, 'emcc'), ['--version']) === null) {
    run(join(root, 'emcc'), ['--version'], { quiet: true });
  }
  writeFileSync(join(kCopy, '.complete'), '');
  return copy;
}

/**
 * Makes the copy's programs use the copy's own C library, whatever the machine's is; returns the LLVM folder.
 * Running them through the loader would be simpler, but clang starts itself again by its own path.
 */
function bindToCopy() {
  const usr = join(kCopy, 'usr');
  const llvmName = readdirSync(join(usr, 'lib')).find((name) => /^llvm-\d+$/.test(name));
  const triplet = readdirSync(join(usr, 'lib')).find((name) => name.endsWith('-linux-gnu'));
  if (!llvmName || !triplet) throw new UserError('emscripten: the fetched packages have an unexpected layout');
  const llvm = join(usr, 'lib', llvmName);
  const libraries = join(usr, 'lib', triplet);
  const loader = ['lib64', 'lib'].flatMap((name) => {
    const path = join(usr, name);
    return existsSync(path)
      ? readdirSync(path)
          .filter((file) => /^ld-linux.*\.so/.test(file))
          .map((file) => join(path, file))
      : [];
  })[0];
  // patchelf itself has to start before anything is patched.
  /** @param {string[]} args */
  const patchelf = (args) =>
    run(loader, ['--library-path', libraries, join(usr, 'bin/patchelf'), ...args], { quiet: true });

  const isElf = (/** @type {string} */ path) =>
    existsSync(path) && readFileSync(path).subarray(0, 4).toString('latin1') === '\x7fELF';
  const programs = [
    ...readdirSync(join(llvm, 'bin')).map((name) => join(llvm, 'bin', name)),
    ...readdirSync(join(usr, 'bin'))
      .filter((name) => name.startsWith('wasm-'))
      .map((name) => join(usr, 'bin', name)),
  ]
    .map((path) => (existsSync(path) ? realpathSync(path) : path))
    .filter(isElf);
  for (const program of new Set(programs)) {
    patchelf([
      '--set-interpreter',
      loader,
      '--force-rpath',
      '--set-rpath',
      `${libraries}:${join(llvm, 'lib')}`,
      program,
    ]);
  }
  // A library's own search path does not reach the libraries it needs in turn, so those get one too.
  for (const name of readdirSync(libraries)) {
    if (!/^(libLLVM|libclang|libxml2|libicu)/.test(name)) continue;
    const path = realpathSync(join(libraries, name));
    if (isElf(path)) patchelf(['--force-rpath', '--set-rpath', libraries, path]);
  }
  return llvm;
}

/**
 * Emscripten compiles its C and C++ libraries at the first link that needs them, a minute or two for each set of
 * flags: done here once, with progress, instead of inside somebody's first build.
 * @param {Emscripten} emscripten
 */
function buildSystemLibraries({ root, version }) {
  const marker = join(cacheRoot, `emscripten-libraries-${version}`);
  if (existsSync(marker) && readFileSync(marker, 'utf8') === root) return;
  const work = mkdtempSync(join(tmpdir(), 'sutra-libraries-'));
  writeFileSync(
    join(work, 'plain.cpp'),
    '#include <emscripten/bind.h>\n#include <string>\nstatic std::string f() { return "x"; }\nEMSCRIPTEN_BINDINGS(m) { emscripten::function("f", &f); }\n',
  );
  writeFileSync(
    join(work, 'throwing.cpp'),
    '#include <iostream>\n#include <stdexcept>\nint main() { try { throw std::runtime_error("x"); } catch (std::exception& e) { std::cout << e.what(); } }\n',
  );
  const plain = [
    'plain.cpp',
    '-O3',
    '-fno-exceptions',
    '-fno-rtti',
    '-DEMSCRIPTEN_HAS_UNBOUND_TYPE_NAMES=0',
    '-lembind',
    '-sMODULARIZE',
    '-sEXPORT_ES6',
  ];
  const throwing = ['throwing.cpp', '-O2', '-fwasm-exceptions'];
  for (const [what, flags] of /** @type {[string, string[]][]} */ ([
    ['single thread', plain],
    ['threads', [...plain, '-pthread']],
    ['single thread, tests', throwing],
  ])) {
    say('setup', `emscripten: building system libraries (${what})`);
    run(join(root, 'emcc'), [...flags, '-std=c++23', '-o', 'out.mjs'], { cwd: work, quiet: true });
  }
  rmSync(work, { recursive: true });
  writeFileSync(marker, root);
}
