// Running programs and talking to the person who waits for them.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repoRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Everything that setup fetches or builds once for all checkouts lives here. */
export const cacheRoot = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sutra');

/** A failure that the person can act on: its message is one sentence and needs no stack trace. */
export class UserError extends Error {}

/**
 * One progress line.
 * @param {string} topic
 * @param {string} text
 */
export function say(topic, text) {
  console.log(`[${topic}] ${text}`);
}

/**
 * Runs a program with its output shown and throws when it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string | undefined>, quiet?: boolean, timeoutMs?: number}} [options]
 *   quiet: keep the output and show it only if the program fails
 */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: options.quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    encoding: 'utf8',
    timeout: options.timeoutMs,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (result.status === 0) return;
  if (options.quiet) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  const why = result.error ? result.error.message : `exit status ${result.status ?? result.signal}`;
  throw new UserError(`'${[command, ...args.slice(0, 6)].join(' ')}' failed (${why})`);
}

/**
 * The output of a program, or null if it cannot be run or fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string | undefined>}} [options]
 * @returns {string | null}
 */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return result.status === 0 ? result.stdout : null;
}

/**
 * The full path of a program, or null.
 * @param {string} name
 * @returns {string | null}
 */
export function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/**
 * mkdir -p, returning the path.
 * @param {string} path
 */
export function folder(path) {
  mkdirSync(path, { recursive: true });
  return path;
}

/**
 * Runs a script's main function; a UserError ends it with its one sentence, anything else with its trace.
 * @param {() => Promise<number | void> | number | void} main
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    console.error(error instanceof UserError ? `error: ${error.message}` : error);
    process.exitCode = 1;
  }
}
