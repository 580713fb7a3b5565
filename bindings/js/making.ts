// What makes models of models: a file of its own in the package, fetched by those who use it.
export { convertModel, startConverter } from './converter.ts';
export { quantizeModel, startQuantizer } from './quantizer.ts';
export { zip } from './zip.ts';
