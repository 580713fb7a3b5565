// Builds what people use:   node tools/build.mjs [native] [wasm] [package] [web]      (without arguments: all but web)
//   native: build/sutra    wasm: the four artefacts in dist/    package: the JavaScript in dist/    web: web/dist
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { repoRoot, run, runMain, say, UserError } from './lib/run.mjs';
import { ifChanged } from './lib/stamp.mjs';
import { setup, setupPaths } from './setup.mjs';

/** @typedef {'native' | 'wasm' | 'package' | 'web'} Product */

/** @type {Record<Product, import('./setup.mjs').Component[]>} */
const kNeeds = { native: ['native'], wasm: ['js', 'wasm'], package: ['js'], web: ['js'] };

export const artefacts = ['simd128-st', 'simd128-mt', 'relaxed-st', 'relaxed-mt'];
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
  for (const artefact of artefacts) {
    const name = `sutra-${artefact}`;
    await ifChanged(name, kEngineSources, [`dist/${name}.mjs`, `dist/${name}.wasm`], async () => {
      say('build', `wasm artefact ${name}`);
      buildTarget(`wasm-${artefact}`, 'sutra_wasm');
      const from = join(repoRoot, `build/wasm-${artefact}/bindings/wasm`, name);
      const { transform } = await import('esbuild');
      const glue = await transform(readFileSync(`${from}.mjs`, 'utf8'), {
        minify: true,
        format: 'esm',
        target: 'es2022',
      });
      writeFileSync(join(repoRoot, 'dist', `${name}.mjs`), glue.code);
      copyFileSync(`${from}.wasm`, join(repoRoot, 'dist', `${name}.wasm`));
    });
  }
}

async function buildPackage() {
  const outputs = ['dist/index.js', 'dist/worker.js', 'dist/index.d.ts'];
  await ifChanged(
    'package',
    ['bindings/js', 'tsconfig.package.json', 'tsconfig.base.json', 'tools/build.mjs'],
    outputs,
    async () => {
      say('build', 'package JavaScript');
      const { build } = await import('esbuild');
      await build({
        absWorkingDir: repoRoot,
        entryPoints: ['bindings/js/index.ts', 'bindings/js/worker.ts'],
        outdir: 'dist',
        bundle: true,
        minify: true,
        sourcemap: true,
        format: 'esm',
        target: 'es2022',
        // Bundlers know a worker and an artefact by the literal address beside the module, so each stays its own file.
        plugins: [{ name: 'own-files', setup: keepOwnFiles }],
        external: ['node:*'],
        logLevel: 'warning',
      });
      const old = readdirSync(join(repoRoot, 'dist')).filter((name) => name.endsWith('.d.ts'));
      for (const name of old) rmSync(join(repoRoot, 'dist', name));
      run(join(repoRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.package.json'], { cwd: repoRoot, quiet: true });
    },
  );
}

/** @param {import('esbuild').PluginBuild} build */
function keepOwnFiles(build) {
  build.onResolve({ filter: /^\.\/worker\.[tj]s$/ }, ({ kind }) =>
    kind === 'dynamic-import' ? { path: './worker.js', external: true } : undefined,
  );
  build.onResolve({ filter: /^\.\/sutra-[\w-]+\.mjs$/ }, ({ path }) => ({ path, external: true }));
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
  if (products.includes('native')) await buildNative();
  if (products.includes('wasm')) await buildWasm();
  if (products.includes('package')) await buildPackage();
  if (products.includes('web')) await buildWeb();
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
