// Emscripten's start-up code as the package ships it: of the engine and of the quantizer one file without threads and one
// with, shared by both instruction sets, whose wasm files bindings/js/start.ts fetches and compiles itself, and one of the
// converter. The parts that only bundlers would trip over are taken out.

/**
 * @param {string} name of the start-up code: 'st' or 'mt', for the quantizer behind 'quantizer-'
 * @param {Record<'simd128' | 'relaxed', string>} code of each artefact, as Emscripten wrote it but for the name
 * @returns {string}
 */
export function shareGlue(name, code) {
  const shared = code.simd128;
  if (shared !== code.relaxed) throw new Error(`the start-up code of ${name} differs between simd128 and relaxed`);
  return hideFiles(`sutra-${name}`, shared, name.endsWith('mt') ? 2 : 0);
}

/**
 * @param {string} name of the wasm file
 * @param {string} code minified
 * @param {number} nodeImports how many there are
 * @returns {string}
 */
export function hideFiles(name, code, nodeImports) {
  // start.ts passes instantiateWasm, so the wasm file is never looked for; bundlers would look for it.
  const withoutFile = replace(code, `new URL("${name}.wasm",import.meta.url).href`, '""', 1);
  // Node's modules are only imported in Node; webpack would refuse them in a page.
  const hidden = '(/* webpackIgnore: true */ /* @vite-ignore */ "node:';
  return replace(withoutFile, '("node:', hidden, nodeImports, 'import');
}

/**
 * @param {string} text
 * @param {string} from
 * @param {string} to
 * @param {number} times how often it must occur
 * @param {string} [before] what must stand before it
 */
function replace(text, from, to, times, before = '') {
  const parts = text.split(before + from);
  if (parts.length - 1 !== times)
    throw new Error(`Emscripten's start-up code has '${before + from}' ${parts.length - 1} times, expected ${times}`);
  return parts.join(before + to);
}
