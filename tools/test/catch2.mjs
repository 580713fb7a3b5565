// The Catch2 programs: native ones, and the same kernel suite for aarch64 and as wasm in Node and in Chromium.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildTarget } from '../build.mjs';
import { repoRoot } from '../lib/run.mjs';
import { setupPaths } from '../setup.mjs';
import { readReport, reportFolder, runTests } from './stage.mjs';

/**
 * Reads the totals at the end of a report. The XML reporter writes only the assertions that failed; the JSON one writes
 * them all, millions.
 * @param {string} report of Catch2's XML reporter
 */
export function readCatch2(report) {
  const totals = /<OverallResultsCases successes="(\d+)" failures="(\d+)" expectedFailures="(\d+)" skips="(\d+)"\/>/;
  const numbers = totals.exec(report);
  if (!numbers) throw new Error('it has no totals');
  const [successes, failures, expectedFailures, skips] = numbers.slice(1).map(Number);
  return { passed: successes + expectedFailures, failed: failures, skipped: skips };
}

/**
 * @param {string} preset
 * @param {string} target
 * @param {string[]} emulator
 */
export function nativeTests(preset, target = 'sutra_tests', emulator = []) {
  buildTarget(preset, target);
  const report = join(reportFolder(), `${preset}.xml`);
  rmSync(report, { force: true });
  const command = [...emulator, join(repoRoot, 'build', preset, 'tests', target)];
  const reporters = ['--rng-seed', '1', '--reporter', 'console', '--reporter', `xml::out=${report}`];
  const ended = runTests(command[0], [...command.slice(1), ...reporters], {
    UBSAN_OPTIONS: 'print_stacktrace=1',
    ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
  });
  return readReport(preset, report, ended, readCatch2);
}

export const neonTests = () => nativeTests('native-neon', 'sutra_kernel_tests', ['qemu-aarch64', '-cpu', 'max']);

const kWasmPreset = 'wasm-relaxed-st'; // its tables hold the scalar and simd128 variants too

/** @param {'node' | 'browser'} where */
export function wasmTests(where) {
  buildTarget(kWasmPreset, 'sutra_kernel_tests');
  const { node = process.execPath, browser } = setupPaths();
  const report = join(reportFolder(), `wasm-${where}.xml`);
  rmSync(report, { force: true });
  const module = join(repoRoot, 'build', kWasmPreset, 'tests/sutra_kernel_tests.mjs');
  const ended = runTests(node, [join(import.meta.dirname, `wasm_in_${where}.mjs`), module, report], {
    SUTRA_CHROMIUM: browser ?? '',
  });
  return readReport(`wasm-${where}`, report, ended, readCatch2);
}
