// What a stage of `npm test` hands back, and how its programs are run.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder, repoRoot } from '../lib/run.mjs';

/**
 * Counts come from the test programs' own reports.
 * @typedef {{passed: number, failed: number, skipped: number, problems: string[]}} Counts
 *   problems: one line for each failure that no report counted
 */

/** A hung test must not hang the run. */
const kTimeoutMs = 20 * 60 * 1000;

/** Where reports of a stage go. */
export const reportFolder = () => folder(join(repoRoot, 'build/reports'));

/** @param {string} what @returns {Counts} one failure that no report counted */
export function failure(what) {
  return { passed: 0, failed: 1, skipped: 0, problems: [what] };
}

/** @param {Counts[]} all @returns {Counts} */
export function sum(all) {
  return {
    passed: all.reduce((n, counts) => n + counts.passed, 0),
    failed: all.reduce((n, counts) => n + counts.failed, 0),
    skipped: all.reduce((n, counts) => n + counts.skipped, 0),
    problems: all.flatMap((counts) => counts.problems),
  };
}

/**
 * Runs a test program with its output shown; returns its exit status, or what ended it.
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 * @returns {{ok: boolean, how: string}}
 */
export function runTests(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: repoRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: kTimeoutMs,
  });
  const how = result.error?.message ?? (result.signal ? `ended by ${result.signal}` : `exit status ${result.status}`);
  return { ok: result.status === 0, how };
}

/**
 * Turns a report into counts. A program that failed without saying so in its report counts as one failure, and so does
 * one that ran no test.
 * @param {string} name
 * @param {string} path of the report
 * @param {{ok: boolean, how: string}} ended
 * @param {(report: string) => {passed: number, failed: number, skipped: number}} read
 * @returns {Counts}
 */
export function readReport(name, path, ended, read) {
  if (!existsSync(path)) return failure(`${name}: no report (${ended.how})`);
  let counts;
  try {
    counts = read(readFileSync(path, 'utf8'));
  } catch (error) {
    return failure(`${name}: its report cannot be read (${ended.how}; ${error})`);
  }
  if (!ended.ok && counts.failed === 0) return { ...counts, failed: 1, problems: [`${name}: ${ended.how}`] };
  if (counts.passed + counts.failed === 0) return { ...counts, failed: 1, problems: [`${name}: it ran no test`] };
  return { ...counts, problems: [] };
}
