// Model folders on disk for tests: the shipped ones, and broken copies of them.
import { cpSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The names that the list gives them. */
export const rwkv = 'Fairy RWKV-7';
export const mamba = 'Fairy Mamba';

/** The folder of a shipped model. */
export const shippedModel = (id: string): string => join(import.meta.dirname, '../../models', id);

/** A small file of the engine's own tests. */
export const goldenFile = (path: string): string => join(import.meta.dirname, '../../tests/golden', path);

/** A copy of a shipped model whose weights end in the middle. */
export function truncatedModel(id: string): { folder: string; remove: () => void } {
  const parent = mkdtempSync(join(tmpdir(), 'sutra-e2e-'));
  const folder = join(parent, 'half-a-model');
  cpSync(shippedModel(id), folder, { recursive: true });
  const weights = join(folder, 'model.safetensors');
  truncateSync(weights, Math.floor(statSync(weights).size / 2));
  return { folder, remove: () => rmSync(parent, { recursive: true, force: true }) };
}
