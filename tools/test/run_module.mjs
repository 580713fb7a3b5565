// Runs a Catch2 program that was compiled to a wasm module; the same in Node and in a page.

/**
 * @param {(options: object) => Promise<unknown>} createModule
 * @param {(line: string) => void} show
 * @returns {Promise<string>} the report of the XML reporter
 */
export async function runModule(createModule, show) {
  /** @type {string[]} */
  const report = [];
  try {
    await createModule({
      arguments: [
        '--rng-seed',
        '1',
        '--colour-mode',
        'none',
        '--reporter',
        'console::out=%stdout',
        '--reporter',
        'xml::out=%stderr',
      ],
      print: show,
      printErr: (/** @type {string} */ line) => report.push(line),
    });
  } catch (error) {
    // main() that returns something else than 0 ends the module with this.
    if (/** @type {Error} */ (error).name !== 'ExitStatus') throw error;
  }
  return report.join('\n');
}
