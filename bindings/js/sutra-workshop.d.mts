// Made by bindings/wasm: Emscripten's start-up code of the workshop.
import type { Glue } from './start.ts';
import type { WorkshopModule } from './workshop.ts';

declare const start: Glue<WorkshopModule>['default'];
export default start;
