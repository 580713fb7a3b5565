// Format, lint and types of everything.   node tools/lint.mjs [--write]      --write repairs what a tool can repair
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { capture, repoRoot, runMain, say } from './lib/run.mjs';
import { setup } from './setup.mjs';

const kBin = join(repoRoot, 'node_modules/.bin');

/** @typedef {{name: string, command: string[]}} Lint */

/**
 * @param {string} clangFormat
 * @param {boolean} write
 * @returns {Lint[]}
 */
export function lints(clangFormat, write) {
  const listed = capture('git', ['ls-files', '-co', '--exclude-standard', '*.h', '*.cpp'], { cwd: repoRoot }) ?? '';
  const sources = listed.split('\n').filter((path) => path && existsSync(join(repoRoot, path)));
  const projects = ['.', 'tools', 'web', 'e2e', 'tests/js', 'tests/package', 'bench/web'];
  const typed = projects.filter((folder) => existsSync(join(repoRoot, folder, 'tsconfig.json')));
  return [
    { name: 'clang-format', command: [clangFormat, ...(write ? ['-i'] : ['--dry-run', '-Werror']), ...sources] },
    {
      name: 'biome',
      command: [
        join(kBin, 'biome'),
        ...(write ? ['check', '--write'] : ['ci']),
        '--max-diagnostics=20',
        ...(process.stdout.isTTY ? [] : ['--colors=off']),
        '.',
      ],
    },
    ...typed.map((folder) => ({ name: `tsc ${folder}`, command: [join(kBin, 'tsc'), '--noEmit', '-p', folder] })),
  ];
}

/**
 * @param {Lint} lint
 * @returns {boolean}
 */
export function runLint({ command }) {
  const [program, ...args] = command;
  return spawnSync(program, args, { cwd: repoRoot, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

if (process.argv[1] === import.meta.filename) {
  runMain(async () => {
    const { clangFormat = 'clang-format' } = await setup(['js', 'format']);
    const failed = lints(clangFormat, process.argv.includes('--write')).filter((lint) => !runLint(lint));
    for (const { name } of failed) say('lint', `${name}: failed`);
    return failed.length > 0 ? 1 : 0;
  });
}
