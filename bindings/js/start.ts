// Starts the fastest build that works here: the next one is tried when a build does not start or fails its self-test.
import { raise, SutraError } from './errors.ts';
import { type Candidate, choose, examine } from './features.ts';
import { type EngineModule, Heap } from './heap.ts';
import { openNodeFile } from './platform.ts';
import type { EngineRequest } from './protocol.ts';
import type { RuntimeInfo } from './types.ts';

export interface RunningEngine {
  readonly heap: Heap;
  readonly runtime: RuntimeInfo;
}

/** Emscripten's start-up code; the .mjs files beside the wasm files are made by bindings/wasm. */
export interface Glue<Module> {
  default(options: {
    /** Threads besides the caller's; only the -mt.mjs files start any. */
    readonly helperThreads: number;
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ): void;
    printErr(text: string): void;
  }): Promise<Module>;
}

export type Instantiate = (candidate: Candidate) => Promise<EngineModule>;

const startTimeoutMs = 15_000;

export function startEngine(
  request: EngineRequest,
  instantiate: Instantiate = instantiateArtefact,
): Promise<RunningEngine> {
  return startBest(request, async (candidate) => new Heap(await instantiate(candidate)));
}

/** Starts a module in the fastest build of it that works here. */
export async function startBest<Started extends { selfTest(): void }>(
  request: EngineRequest,
  start: (candidate: Candidate) => Promise<Started>,
): Promise<{ readonly heap: Started; readonly runtime: RuntimeInfo }> {
  const { candidates, why } = choose(await examine(request.ownThread), request);
  const reasons = [why];
  let lastError: unknown;
  let rest = candidates;
  while (rest.length > 0) {
    const candidate = rest[0]!;
    try {
      const heap = await start(candidate);
      heap.selfTest();
      return { heap, runtime: { ...candidate, worker: request.ownThread, why: reasons.join(' ') } };
    } catch (error) {
      lastError = error;
      reasons.push(`The build ${nameOf(candidate)} was left out: ${(error as Error).message.replace(/\.$/, '')}.`);
      // Wrong arithmetic is wrong with any number of threads; everything else is first blamed on the threads.
      const isWrong = error instanceof SutraError && error.code === 'self_test_failed';
      rest = rest.slice(1).filter(({ artefact }) => !isWrong || artefact !== candidate.artefact);
    }
  }
  const code = lastError instanceof SutraError ? lastError.code : 'unsupported';
  return raise(code, reasons.join(' '), {
    cause: lastError,
    hint: 'Use a current version of Chromium, Firefox or Safari, or Node 22 or later.',
  });
}

function nameOf({ artefact, threads }: Candidate): string {
  return threads > 1 ? `${artefact} with ${threads} threads` : artefact;
}

/** Written out one by one, because bundlers look for exactly this form. */
function artefactUrl({ artefact, threads }: Candidate): URL {
  if (artefact === 'relaxed')
    return threads > 1
      ? new URL('./sutra-relaxed-mt.wasm', import.meta.url)
      : new URL('./sutra-relaxed-st.wasm', import.meta.url);
  return threads > 1
    ? new URL('./sutra-simd128-mt.wasm', import.meta.url)
    : new URL('./sutra-simd128-st.wasm', import.meta.url);
}

function instantiateArtefact(candidate: Candidate): Promise<EngineModule> {
  const glue = candidate.threads > 1 ? import('./sutra-mt.mjs') : import('./sutra-st.mjs');
  return instantiateModule(artefactUrl(candidate), glue, candidate.threads - 1);
}

/** Starts a module by its start-up code, Emscripten's, while the module is still on its way. */
export async function instantiateModule<Module>(
  url: URL,
  glueImport: Promise<Glue<Module>>,
  helperThreads: number,
): Promise<Module> {
  const [module, glue] = await Promise.all([compile(url.href), glueImport]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  return await new Promise<Module>((resolve, reject) => {
    // Helper threads that never come up report nothing.
    timer = setTimeout(() => reject(new Error(`it did not start within ${startTimeoutMs} ms`)), startTimeoutMs);
    glue
      .default({
        helperThreads,
        instantiateWasm: (imports, done) => {
          WebAssembly.instantiate(module, imports).then((instance) => done(instance, module), reject);
        },
        printErr: (text) => console.error(text),
      })
      .then(resolve, reject);
  }).finally(() => clearTimeout(timer));
}

async function compile(url: string): Promise<WebAssembly.Module> {
  if (url.startsWith('file:')) {
    const file = await openNodeFile(url);
    if (!file) return raise('not_found', `${url} is missing from the package`);
    return WebAssembly.compile(await file.arrayBuffer());
  }
  const response = await fetch(url);
  if (!response.ok) return raise('io', `${url} could not be loaded (status ${response.status})`);
  // Streaming needs the type application/wasm, which some servers do not send.
  const isTyped = response.headers.get('content-type')?.startsWith('application/wasm');
  return isTyped ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}
