// The files of a model, opened one by one: from a server, from disk or from what the person gave.
import { raise } from './errors.ts';
import { openNodeFile } from './platform.ts';
import type { PlainSource } from './protocol.ts';
import { type DownloadOptions, download, fromBlob, type OpenFile } from './storage.ts';
import type { Manifest } from './types.ts';

/** File names with a slash or ".." would reach outside the model's folder. */
const plainName = /^[^/\\]+$/;

export interface Folder {
  /** undefined when there is no such file. */
  open(name: string): Promise<OpenFile | undefined>;
  /** The weight files' names, or undefined where they cannot be listed. */
  readonly weights: readonly string[] | undefined;
  /** For messages. */
  readonly place: string;
}

export function openFolder(source: PlainSource, options: Omit<DownloadOptions, 'sha256'>, manifest: Manifest): Folder {
  if (source.kind === 'files') {
    const files = new Map(source.files.map(({ name, blob }) => [name, blob]));
    return {
      open: async (name) => {
        const blob = files.get(name);
        return blob && fromBlob(name, blob);
      },
      weights: weightsAmong([...files.keys()]),
      place: 'the given files',
    };
  }
  return {
    open: async (name) => {
      const url = new URL(encodeURIComponent(name), source.base).href;
      if (!url.startsWith('file:')) return download(url, name, { ...options, sha256: manifest[name]?.sha256 });
      const blob = await openNodeFile(url);
      return blob && fromBlob(name, blob);
    },
    weights: source.file === undefined ? undefined : [source.file],
    place: source.base,
  };
}

/**
 * Formats are told by content; names only say which files hold weights. One format is chosen, the best first, because
 * people keep the same model in several.
 */
function weightsAmong(names: readonly string[]): string[] {
  for (const kind of [/\.safetensors$/, /\.gguf$/, /\.(pth|pt|bin)$/]) {
    const found = names.filter((name) => kind.test(name));
    if (found.length > 0) return found;
  }
  return names.filter((name) => !/\.(json|txt|md)$/.test(name));
}

export async function openNeeded(folder: Folder, name: string): Promise<OpenFile> {
  return (await folder.open(name)) ?? raiseMissing(folder, name);
}

/** In the order of preference: Hugging Face's file, RWKV's World vocabulary. */
const tokenizerNames = ['tokenizer.json', 'rwkv_vocab_v20230424.txt'] as const;

/** undefined when there is none. */
export async function openTokenizer(folder: Folder): Promise<OpenFile | undefined> {
  for (const name of tokenizerNames) {
    const file = await folder.open(name);
    if (file) return file;
  }
  return undefined;
}

export async function openNeededTokenizer(folder: Folder): Promise<OpenFile> {
  return (await openTokenizer(folder)) ?? raiseMissing(folder, tokenizerNames[0]);
}

export interface WeightFiles {
  /** In order. */
  readonly names: readonly string[];
  /** Already open. */
  readonly first: OpenFile;
}

export async function openWeights(folder: Folder): Promise<WeightFiles> {
  const only = folder.weights?.length === 1 ? folder.weights[0]! : 'model.safetensors';
  const single = await folder.open(only);
  if (single) return { names: [only], first: single };
  const index = await folder.open('model.safetensors.index.json');
  if (!index) return raiseMissing(folder, 'model.safetensors');
  const names = shardNames(await readText(index));
  return { names, first: await openNeeded(folder, names[0]!) };
}

function shardNames(indexJson: string): string[] {
  const name = 'model.safetensors.index.json';
  let index: { weight_map?: unknown };
  try {
    index = JSON.parse(indexJson);
  } catch (error) {
    return raise('malformed', `${name} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const map = index?.weight_map;
  if (typeof map !== 'object' || map === null) return raise('malformed', `${name} has no weight_map`);
  const shards = new Set<string>();
  for (const shard of Object.values(map)) {
    if (typeof shard !== 'string' || !plainName.test(shard) || !shard.endsWith('.safetensors'))
      return raise('malformed', `${name} names ${JSON.stringify(shard)} where a .safetensors file is expected`);
    shards.add(shard);
  }
  return shards.size > 0 ? [...shards].sort() : raise('malformed', `${name} names no file`);
}

const limitBytes = 64 << 20;

/** A small file whole. */
export async function readBytes(file: OpenFile): Promise<Uint8Array> {
  if (file.size > limitBytes)
    raise('too_large', `${file.name} has ${file.size} bytes; at most ${limitBytes} are expected of such a file`);
  const whole = new Uint8Array(file.size);
  let at = 0;
  for await (const chunk of file.chunks()) {
    if (at + chunk.length > whole.length) raise('malformed', `${file.name} has more than its ${file.size} bytes`);
    whole.set(chunk, at);
    at += chunk.length;
  }
  if (at !== whole.length) raise('truncated', `${file.name} ends at ${at} of ${file.size} bytes`);
  return whole;
}

async function readText(file: OpenFile): Promise<string> {
  return new TextDecoder().decode(await readBytes(file));
}

const additions: Record<string, string> = {
  'config.json': 'Add the config.json that belongs to the weights: choose the whole folder of the model.',
  'tokenizer.json': 'Add the tokenizer.json or rwkv_vocab_v20230424.txt that belongs to the model.',
  'model.safetensors':
    'Add the weights: model.safetensors, all its parts with model.safetensors.index.json, or a .gguf or .pth file.',
};

/** When the engine cannot do without it. */
export const configHint = additions['config.json']!;

function raiseMissing(folder: Folder, name: string): never {
  return raise('not_found', `${name} is missing from ${folder.place}`, {
    hint: additions[name] ?? `Add ${name}, which the index names: choose the whole folder of the model.`,
  });
}
