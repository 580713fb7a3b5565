// npm run bench:web -- --model DIR …: builds the package and measures it in Chromium (bench/web/run.mjs).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { repoRoot, runMain } from './lib/run.mjs';
import { setup } from './setup.mjs';

runMain(async () => {
  // Progress would mix with the JSON on standard output.
  console.log = console.error;
  await build(['wasm', 'package']);
  const { browser = '', node = process.execPath } = await setup(['browser']);
  const script = join(repoRoot, 'bench/web/run.mjs');
  const env = { ...process.env, SUTRA_CHROMIUM: browser };
  return spawnSync(node, [script, ...process.argv.slice(2)], { stdio: 'inherit', env }).status ?? 1;
});
