// What the package exports.
import { loadTokenizer } from './client.ts';
import type { Tokenizer as TokenizerInterface } from './types.ts';

export { convert, load, quantize } from './client.ts';
export { SutraError } from './errors.ts';
export { probe } from './features.ts';
export { clearCache } from './storage.ts';
export type * from './types.ts';

export type Tokenizer = TokenizerInterface;

/** Tokenizers without a model: `await Tokenizer.from('/models/fairy-rwkv7/')`. */
export const Tokenizer = { from: loadTokenizer };
