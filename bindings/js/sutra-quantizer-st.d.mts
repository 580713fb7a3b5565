// Made by bindings/wasm: Emscripten's start-up code of the quantizer's builds without threads.
import type { QuantizerModule } from './quantizer.ts';
import type { Glue } from './start.ts';

declare const start: Glue<QuantizerModule>['default'];
export default start;
