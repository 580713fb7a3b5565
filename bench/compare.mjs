// Another revision and this tree, built and measured in turn in one run:
//   node bench/compare.mjs REV --model DIR [--model DIR …] [--threads 1,2] [--rounds 5] [--web [--artefact relaxed]]
//
// Each round runs both once, the order changing from round to round, so that whatever else the machine does falls on
// both. A figure is the median over the rounds; the ratio is the median of the rounds' own ratios. Native by default;
// --web measures the package in Chromium. The other revision is checked out and built in build/compare/.
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { capture, repoRoot, run, runMain, UserError } from '../tools/lib/run.mjs';

/** @typedef {Record<string, number>} Figures */

const higherIsBetter = ['prefill_tokens_per_s', 'decode_tokens_per_s'];
const figures = [...higherIsBetter, 'first_token_ms', 'load_ms', 'peak_bytes'];

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * A checkout of `revision` beside this tree.
 * @param {string} revision
 */
function checkOut(revision) {
  const commit = capture('git', ['rev-parse', '--verify', `${revision}^{commit}`], { cwd: repoRoot })?.trim();
  if (!commit) throw new UserError(`'${revision}' is no revision of this repository`);
  const folder = join(repoRoot, 'build/compare', commit.slice(0, 12));
  if (!existsSync(join(folder, 'package.json'))) {
    rmSync(folder, { recursive: true, force: true });
    run('git', ['worktree', 'prune'], { cwd: repoRoot });
    mkdirSync(join(repoRoot, 'build/compare'), { recursive: true });
    run('git', ['worktree', 'add', '--detach', folder, commit], { cwd: repoRoot, quiet: true });
    // The same tools for both.
    symlinkSync(join(repoRoot, 'node_modules'), join(folder, 'node_modules'));
  }
  return folder;
}

/**
 * One run of one tree.
 * @param {string} tree
 * @param {{model: string, threads: string, web: boolean, artefact: string}} wish
 * @returns {Figures}
 */
function measure(tree, { model, threads, web, artefact }) {
  const options = ['--model', model, '--threads', threads, '--json'];
  const [command, args] = web
    ? [process.execPath, ['tools/bench_web.mjs', ...options, '--artefact', artefact]]
    : [join(tree, 'build/sutra'), ['bench', ...options]];
  const output = capture(command, args, { cwd: tree });
  if (output === null) throw new UserError(`'${[command, ...args].join(' ')}' failed in ${tree}`);
  const measured = JSON.parse(output);
  return { ...measured, peak_bytes: measured.peak_bytes ?? measured.peak_wasm_bytes };
}

runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', multiple: true },
      threads: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      web: { type: 'boolean', default: false },
      artefact: { type: 'string', default: 'relaxed' },
    },
  });
  const [revision] = positionals;
  if (revision === undefined || !values.model)
    throw new UserError('usage: node bench/compare.mjs REV --model DIR [--threads 1,2] [--rounds 5] [--web]');
  const rounds = Number(values.rounds);
  const other = checkOut(revision);
  for (const tree of [other, repoRoot])
    run(process.execPath, ['tools/build.mjs', ...(values.web ? ['wasm', 'package'] : ['native'])], {
      cwd: tree,
      quiet: true,
    });

  for (const model of values.model.map((path) => resolve(path))) {
    for (const threads of values.threads.split(',')) {
      /** @type {[Figures, Figures][]} */
      const pairs = [];
      for (let round = 0; round < rounds; round++) {
        const wish = { model, threads, web: values.web, artefact: values.artefact };
        const trees = round % 2 === 0 ? [other, repoRoot] : [repoRoot, other];
        const [first, second] = trees.map((tree) => measure(tree, wish));
        pairs.push(round % 2 === 0 ? [first, second] : [second, first]);
      }
      console.log(`${model}, ${threads} thread(s), ${rounds} rounds: ${revision} → this tree`);
      for (const figure of figures) {
        const before = median(pairs.map(([a]) => a[figure]));
        const after = median(pairs.map(([, b]) => b[figure]));
        const ratio = median(pairs.map(([a, b]) => b[figure] / a[figure]));
        const good = higherIsBetter.includes(figure) ? 'faster' : 'of it';
        console.log(
          `  ${figure.padEnd(22)} ${before.toFixed(1)} → ${after.toFixed(1)}   ${ratio.toFixed(3)} × ${good}`,
        );
      }
    }
  }
});
