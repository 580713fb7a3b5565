// A model source in whatever form the caller has it, made into one that can be sent to the engine's thread.
import { raise } from './errors.ts';
import { nodeModule } from './platform.ts';
import type { PlainSource } from './protocol.ts';
import type { ModelSource, NamedFiles } from './types.ts';

/** Where hub ids lead. */
const hubUrl = 'https://huggingface.co';
const hubId = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w./-]+))?$/;

export async function toPlainSource(source: ModelSource): Promise<PlainSource> {
  if (typeof source === 'string') return urlSource(source);
  if (source instanceof URL) return urlSource(source.href);
  if (source instanceof Blob) return fileSource([source]);
  if (Array.isArray(source)) return fileSource(source);
  if (typeof source === 'object' && source !== null) {
    if (isDirectory(source)) return directorySource(source);
    if ('files' in source) return namedSource(source);
  }
  return raise('invalid_argument', 'the model source must be a URL, a hub id, files or a folder handle');
}

function urlSource(text: string): PlainSource {
  const hub = hubId.exec(text);
  const url = hub ? new URL(`${hubUrl}/${hub[1]}/resolve/${hub[2] ?? 'main'}/`) : absoluteUrl(text);
  url.search = '';
  url.hash = '';
  const last = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
  if (/\.(safetensors|gguf|pth|pt|bin)$/.test(last)) return { kind: 'url', base: new URL('.', url).href, file: last };
  if (last !== '' && !last.endsWith('.json')) url.pathname += '/';
  return { kind: 'url', base: new URL('.', url).href };
}

function absoluteUrl(text: string): URL {
  const path = nodeModule('node:path');
  const fileUrl = nodeModule('node:url');
  const isAbsolute = /^[a-z][a-z\d+.-]+:/i.test(text);
  try {
    if (path && fileUrl && !isAbsolute)
      return fileUrl.pathToFileURL(text.endsWith('/') ? `${path.resolve(text)}/` : path.resolve(text));
    return isAbsolute ? new URL(text) : new URL(text, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch (error) {
    return raise('invalid_argument', `'${text}' is not a URL`, { cause: error });
  }
}

function fileSource(files: readonly Blob[]): PlainSource {
  return pathSource(
    files.map((blob) => {
      const { name = 'model.safetensors', webkitRelativePath } = blob as File;
      return [webkitRelativePath || name, blob];
    }),
  );
}

function namedSource({ files }: NamedFiles): PlainSource {
  return pathSource(
    Object.entries(files).map(([path, content]) => [
      path,
      content instanceof Blob ? content : new Blob([content as BlobPart]),
    ]),
  );
}

/** Of several files with one name the one nearest to the top is the model's. */
function pathSource(files: readonly (readonly [path: string, blob: Blob])[]): PlainSource {
  const depth = (path: string) => path.split('/').length;
  const byName = new Map<string, Blob>();
  for (const [path, blob] of [...files].sort(([a], [b]) => depth(b) - depth(a)))
    byName.set(path.slice(path.lastIndexOf('/') + 1), blob);
  return { kind: 'files', files: [...byName].map(([name, blob]) => ({ name, blob })) };
}

function isDirectory(source: object): source is FileSystemDirectoryHandle {
  return 'kind' in source && source.kind === 'directory';
}

async function directorySource(directory: FileSystemDirectoryHandle): Promise<PlainSource> {
  const files: { name: string; blob: Blob }[] = [];
  for await (const entry of directory.values()) {
    if (entry.kind === 'file') files.push({ name: entry.name, blob: await (entry as FileSystemFileHandle).getFile() });
  }
  return { kind: 'files', files };
}
