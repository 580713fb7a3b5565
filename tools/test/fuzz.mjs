// The fuzz targets, each for a while under both sanitizers, from the committed corpora.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildTarget } from '../build.mjs';
import { repoRoot, say } from '../lib/run.mjs';
import { setupPaths } from '../setup.mjs';
import { reportFolder } from './stage.mjs';

/** @typedef {import('./stage.mjs').Counts} Counts */

/** Of each target; a longer search is a matter of this variable. */
const kSeconds = Number(process.env.SUTRA_FUZZ_SECONDS || 60);
/** A target that no longer answers is a finding too. */
const kGraceSeconds = 120;

/**
 * @param {string} name
 * @param {string} program
 * @returns {Promise<string | null>} what is wrong, or null
 */
async function fuzz(name, program) {
  const subject = name.replace(/_fuzz$/, '');
  const inputs = join(repoRoot, 'tests/fuzz/corpus', subject);
  const dictionary = join(repoRoot, 'tests/fuzz', `${subject}.dict`);
  const found = mkdtempSync(join(tmpdir(), 'sutra-fuzz-'));
  const options = [
    `-max_total_time=${kSeconds}`,
    '-print_final_stats=1',
    '-rss_limit_mb=2048',
    '-timeout=10',
    `-artifact_prefix=${join(reportFolder(), `${name}-`)}`,
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
  ];
  const child = spawn(program, [...options, found, inputs], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: (kSeconds + kGraceSeconds) * 1000,
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output = (output + text).slice(-20_000);
  });
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  rmSync(found, { recursive: true, force: true });
  const runs = /number_of_executed_units:\s*(\d+)/.exec(output)?.[1] ?? '0';
  say('fuzz', `${name}: ${runs} inputs`);
  if (status === 0 && Number(runs) > 0) return null;
  process.stderr.write(output);
  return `${name}: ended with ${status} after ${runs} inputs; what it found lies in build/reports`;
}

/** @returns {Promise<Counts>} */
export async function fuzzTests() {
  buildTarget('fuzz', 'sutra_fuzz', [`-DCMAKE_CXX_COMPILER=${setupPaths().clang}`]);
  const folder = join(repoRoot, 'build/fuzz/tests/fuzz');
  const waiting = readdirSync(folder).filter((name) => name.endsWith('_fuzz'));
  const problems = /** @type {string[]} */ ([]);
  let passed = 0;
  const work = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const problem = await fuzz(name, join(folder, name));
      if (problem) problems.push(problem);
      else passed++;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return { passed, failed: problems.length, skipped: 0, problems };
}
