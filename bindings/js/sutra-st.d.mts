// Made by bindings/wasm: Emscripten's start-up code, without threads here and with threads in sutra-mt.mjs.
import type { EngineModule } from './heap.ts';
import type { Glue } from './start.ts';

declare const start: Glue<EngineModule>['default'];
export default start;
