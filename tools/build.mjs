// Builds what people use:   node tools/build.mjs [native] [wasm] [package] [web]      (without arguments: all but web)
//   native: build/sutra    wasm: the nine modules in dist/    package: the JavaScript in dist/    web: web/dist
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { hideFiles, shareGlue } from '../bindings/wasm/glue.mjs';
import { withLock } from './lib/lock.mjs';
import { repoRoot, run, runMain, say, UserError } from './lib/run.mjs';
import { ifChanged } from './lib/stamp.mjs';
import { setup, setupPaths } from './setup.mjs';

/** @typedef {'native' | 'wasm' | 'package' | 'web'} Product */

/** @type {Record<Product, import('./setup.mjs').Component[]>} */
const kNeeds = { native: ['native'], wasm: ['js', 'wasm'], package: ['js'], web: ['js'] };

/** The engine's and the quantizer's. */
export const artefacts = ['simd128-st', 'simd128-mt', 'relaxed-st', 'relaxed-mt'];
/** The artefact in whose build the converter is made. */
const kConverterPreset = 'simd128-st';
/** All wasm files of the package, without "sutra-". */
export const modules = [...artefacts, ...artefacts.map((artefact) => `quantizer-${artefact}`), 'converter'];
const kEngineSources = [
  'CMakeLists.txt',
  'CMakePresets.json',
  'cmake',
  'src',
  'bindings/wasm',
  'build/setup/paths.json',
];

/**
 * Configures a preset if that was not done yet, and builds one target of it.
 * @param {string} preset
 * @param {string} target
 * @param {string[]} [options] for the configuration
 */
export function buildTarget(preset, target, options = []) {
  run('cmake', ['--preset', preset, ...options], { cwd: repoRoot, quiet: true });
  const jobs = String(availableParallelism());
  run('cmake', ['--build', join('build', preset), '--target', target, '-j', jobs], { cwd: repoRoot, quiet: true });
}

async function buildNative() {
  await ifChanged('native', kEngineSources, ['build/sutra'], () => {
    say('build', 'native program');
    // The tests have their own turn: configuring them would want Catch2.
    buildTarget('native-release', 'sutra');
    copyFileSync(join(repoRoot, 'build/native-release/sutra'), join(repoRoot, 'build/sutra'));
  });
}

async function buildWasm() {
  mkdirSync(join(repoRoot, 'dist'), { recursive: true });
  const glue = ['st', 'mt', 'quantizer-st', 'quantizer-mt', 'converter'];
  const outputs = [
    ...modules.map((name) => `dist/sutra-${name}.wasm`),
    ...glue.map((name) => `dist/sutra-${name}.mjs`),
  ];
  await ifChanged('wasm', [...kEngineSources, 'tools/build.mjs'], outputs, async () => {
    for (const artefact of artefacts) {
      say('build', `wasm artefact ${artefact}`);
      buildTarget(`wasm-${artefact}`, 'sutra_wasm');
      buildTarget(`wasm-${artefact}`, 'sutra_quantizer');
      for (const name of [artefact, `quantizer-${artefact}`])
        copyFileSync(moduleFile(artefact, name, 'wasm'), join(repoRoot, `dist/sutra-${name}.wasm`));
    }
    for (const kind of /** @type {const} */ (['', 'quantizer-'])) {
      await buildGlue(kind, 'st');
      await buildGlue(kind, 'mt');
    }
    const isOld = (/** @type {string} */ name) =>
      /^sutra-.*\.(wasm|mjs)$/.test(name) && !outputs.includes(`dist/${name}`);
    for (const name of readdirSync(join(repoRoot, 'dist')).filter(isOld)) rmSync(join(repoRoot, 'dist', name));
    say('build', 'wasm module converter');
    buildTarget(`wasm-${kConverterPreset}`, 'sutra_converter');
    copyFileSync(moduleFile(kConverterPreset, 'converter', 'wasm'), join(repoRoot, 'dist/sutra-converter.wasm'));
    const glueCode = readFileSync(moduleFile(kConverterPreset, 'converter', 'mjs'), 'utf8');
    writeFileSync(
      join(repoRoot, 'dist/sutra-converter.mjs'),
      hideFiles('sutra-converter', await minified(glueCode), 0),
    );
  });
}

/** @param {string} code */
async function minified(code) {
  const { transform } = await import('esbuild');
  return (await transform(code, { minify: true, format: 'esm', target: 'es2022' })).code;
}

/**
 * @param {'' | 'quantizer-'} kind
 * @param {'st' | 'mt'} threads
 */
async function buildGlue(kind, threads) {
  const code = (/** @type {string} */ simd) => {
    // Without the artefact's name: esbuild chooses short names by how often letters occur, in file names too.
    const artefact = `${simd}-${threads}`;
    const named = readFileSync(moduleFile(artefact, kind + artefact, 'mjs'), 'utf8');
    return minified(named.replaceAll(`sutra-${kind}${simd}-`, `sutra-${kind}`));
  };
  // Shared after minifying, which would drop the comments for bundlers.
  const shared = shareGlue(kind + threads, { simd128: await code('simd128'), relaxed: await code('relaxed') });
  writeFileSync(join(repoRoot, `dist/sutra-${kind}${threads}.mjs`), shared);
}

/**
 * @param {string} artefact in whose build it is made
 * @param {string} name
 * @param {'wasm' | 'mjs'} kind
 */
function moduleFile(artefact, name, kind) {
  return join(repoRoot, `build/wasm-${artefact}/bindings/wasm/sutra-${name}.${kind}`);
}

async function buildPackage() {
  const outputs = ['dist/index.js', 'dist/worker.js', 'dist/making.js', 'dist/index.d.ts'];
  await ifChanged(
    'package',
    ['bindings/js', 'tsconfig.package.json', 'tsconfig.base.json', 'tools/build.mjs'],
    outputs,
    async () => {
      say('build', 'package JavaScript');
      const { build } = await import('esbuild');
      const isOld = (/** @type {string} */ name) => /\.d\.ts$|\.js(\.map)?$/.test(name);
      const dist = join(repoRoot, 'dist');
      if (existsSync(dist)) for (const name of readdirSync(dist).filter(isOld)) rmSync(join(dist, name));
      await build({
        absWorkingDir: repoRoot,
        entryPoints: ['bindings/js/index.ts', 'bindings/js/worker.ts', 'bindings/js/making.ts'],
        outdir: 'dist',
        bundle: true,
        splitting: true,
        chunkNames: 'shared-[hash]',
        minify: true,
        lineLimit: 160, // Node shows the line of an error
        sourcemap: true,
        format: 'esm',
        target: 'es2022',
        external: ['./sutra-*.mjs'],
        logLevel: 'warning',
      });
      for (const name of readdirSync(dist).filter((name) => name.endsWith('.js'))) keepUrlsWhole(join(dist, name));
      run(join(repoRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.package.json'], { cwd: repoRoot, quiet: true });
    },
  );
}

/**
 * The limit ends lines anywhere, and bundlers look for `new URL("./NAME",import.meta.url)` in one piece: the line ends after
 * it instead. In source maps, what follows there is off by as many columns.
 * @param {string} path
 */
function keepUrlsWhole(path) {
  const url = /new\s+URL\s*\(\s*"((?:[^"\\]|\\\n)*)"\s*,\s*import\s*\.\s*meta\s*\.\s*url\s*\)/g;
  const whole = readFileSync(path, 'utf8').replace(url, (found, /** @type {string} */ name) => {
    const lines = found.split('\n').length - 1;
    return `new URL("${name.replaceAll('\\\n', '')}",import.meta.url)${'\n'.repeat(lines)}`;
  });
  writeFileSync(path, whole);
}

async function buildWeb() {
  await ifChanged('web', ['web', 'dist', 'package-lock.json'], ['web/dist/index.html'], () => {
    say('build', 'page');
    const vite = join(repoRoot, 'node_modules/vite/bin/vite.js');
    run(setupPaths().node ?? process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: join(repoRoot, 'web') });
  });
}

/**
 * @param {Product[]} products
 */
export async function build(products) {
  await setup([...new Set(products.flatMap((product) => kNeeds[product]))]);
  await withLock(join(repoRoot, 'build/setup/build.lock'), async () => {
    if (products.includes('native')) await buildNative();
    if (products.includes('wasm')) await buildWasm();
    if (products.includes('package')) await buildPackage();
    if (products.includes('web')) await buildWeb();
  });
}

if (process.argv[1] === import.meta.filename) {
  runMain(async () => {
    const asked = process.argv.slice(2);
    const unknown = asked.find((name) => !(name in kNeeds));
    if (unknown) throw new UserError(`unknown product '${unknown}'; there are: ${Object.keys(kNeeds).join(', ')}`);
    await build(asked.length > 0 ? /** @type {Product[]} */ (asked) : ['native', 'wasm', 'package']);
    say('build', 'done');
  });
}
