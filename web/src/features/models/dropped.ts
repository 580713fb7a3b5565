// What was dropped on the page, as files. Folders are read with everything one level and more below them.

const MOST_FILES = 200;

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  while (files.length < MOST_FILES) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break; // a directory is read in batches until an empty one comes
    for (const child of batch) files.push(...(await filesIn(child)));
  }
  return files;
}

export interface Dropped {
  readonly name: string;
  readonly files: readonly File[];
}

/** Reads a drop. Must be called within the event: the list of items is empty afterwards. */
export async function readDrop(data: DataTransfer): Promise<Dropped> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  const known = entries.filter((entry) => entry !== null);
  if (known.length === 0) return { name: folderName(plain), files: plain };
  const files = (await Promise.all(known.map(filesIn))).flat();
  return { name: known.length === 1 && known[0] ? known[0].name : folderName(files), files };
}

/** A name for files that were chosen together: that of their folder, or of the weights among them. */
export function folderName(files: readonly File[]): string {
  const folder = files[0]?.webkitRelativePath.split('/')[0];
  const weights = files.find((file) => /\.(safetensors|gguf|pth|pt|bin)$/.test(file.name));
  return folder || weights?.name || files[0]?.name || 'your files';
}
