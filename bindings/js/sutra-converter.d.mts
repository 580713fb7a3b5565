// Made by bindings/wasm: Emscripten's start-up code of the converter.
import type { ConverterModule } from './converter.ts';
import type { Glue } from './start.ts';

declare const start: Glue<ConverterModule>['default'];
export default start;
