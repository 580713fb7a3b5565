// node tools/test/wasm_in_node.mjs MODULE REPORT
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { runModule } from './run_module.mjs';

const [modulePath, reportPath] = process.argv.slice(2);
const { default: createModule } = await import(pathToFileURL(modulePath).href);
writeFileSync(reportPath, await runModule(createModule, console.log));
