// The models that the tests run: small ones in the repository, the shipped ones, and the shared ones where they are.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const project = join(import.meta.dirname, '../..');
export const shared = process.env.SUTRA_SHARED ?? join(project, '../shared');

const folders = (root: string, needed: string) =>
  existsSync(root)
    ? readdirSync(root)
        .map((name) => join(root, name))
        .filter((path) => existsSync(join(path, needed)))
    : [];

const sharedGolden = join(shared, 'golden/models');

export interface GoldenCase {
  readonly name: string;
  /** A folder, or a file of weights. */
  readonly source: string;
  readonly expected: string;
}

const golden = (name: string, source: string, expected = source): GoldenCase[] => {
  const path = join(expected, 'expected.safetensors');
  return existsSync(path) ? [{ name, source, expected: path }] : [];
};
/** BlinkDL's .pth of a shared case. */
const goldenPth = (name: string, file = 'model.pth') =>
  golden(`${name}/${file}`, join(sharedGolden, name, file), join(sharedGolden, name));

/** Random weights with logits and states of independent implementations; no tokenizer. The first is in the repository. */
export const goldenCases: GoldenCase[] = [
  ...folders(join(project, 'tests/golden/models'), 'expected.safetensors').flatMap((folder) =>
    golden(basename(folder), folder),
  ),
  ...golden('rwkv7/hf', join(sharedGolden, 'rwkv7/hf'), join(sharedGolden, 'rwkv7')),
  ...golden('mamba-tied', join(sharedGolden, 'mamba-tied')),
  ...[
    'mamba-bias',
    'falcon_mamba',
    'mamba2-g1',
    'mamba2-g2',
    'mamba2-dtlimit',
    'llama-gqa',
    'hybrid-bamba',
    'hybrid-granitemoehybrid',
  ].flatMap((name) => golden(name, join(sharedGolden, name))),
  ...['rwkv6', 'llama-gqa', 'hybrid-granitemoehybrid'].flatMap((name) =>
    golden(`${name}.gguf`, join(project, `tests/golden/gguf/${name}.gguf`), join(sharedGolden, name)),
  ),
  ...golden('rwkv4', join(sharedGolden, 'rwkv4')),
  ...goldenPth('rwkv4', 'model_blinkdl.pth'),
  ...['rwkv5', 'rwkv5-h64', 'rwkv6', 'rwkv6-h64', 'rwkv7', 'rwkv7-h32'].flatMap((name) => goldenPth(name)),
];
/** What the repository ships: 4-bit, with tokenizers. */
export const shippedModels = folders(join(project, 'models'), 'tokenizer.json');
/** Float checkpoints with reference logits and greedy ids. */
export const referenceModels = folders(join(shared, 'models'), 'reference.safetensors');
/** All that can write text. */
export const storyModels = [...shippedModels, ...referenceModels];

export type Tensors = Map<string, { dtype: string; shape: number[]; values: Float32Array | Int32Array }>;

export const readTensors = (path: string): Tensors => parseTensors(readFileSync(path));

/** A safetensors file of F32, I32 and I64 tensors. */
export function parseTensors(file: Buffer): Tensors {
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes));
  const tensors: Tensors = new Map();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  )) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    const bytes = file.buffer.slice(file.byteOffset + 8 + headerBytes + begin, file.byteOffset + 8 + headerBytes + end);
    const values =
      entry.dtype === 'I64'
        ? Int32Array.from(new BigInt64Array(bytes), Number)
        : entry.dtype === 'I32'
          ? new Int32Array(bytes)
          : new Float32Array(bytes);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, values });
  }
  return tensors;
}

/** Largest difference, relative to the rms of what is expected. */
export function relativeError(found: Float32Array, expected: Float32Array): number {
  let worst = 0;
  let square = 0;
  for (const [index, value] of expected.entries()) {
    worst = Math.max(worst, Math.abs(found[index]! - value));
    square += value * value;
  }
  if (found.length !== expected.length || found.some(Number.isNaN)) return Number.NaN;
  return worst / Math.sqrt(square / expected.length);
}
