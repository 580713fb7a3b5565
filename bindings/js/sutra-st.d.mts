// Made by bindings/wasm: Emscripten's start-up code, without threads here and with threads in sutra-mt.mjs.
import type { EngineModule } from './heap.ts';

export interface EngineStart {
  /** Threads besides the caller's; only sutra-mt.mjs starts any. */
  readonly helperThreads: number;
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): void;
  printErr(text: string): void;
}

export default function start(options: EngineStart): Promise<EngineModule>;
