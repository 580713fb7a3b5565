// Files in one .zip, as they are: weights do not become smaller. PKWARE's APPNOTE.TXT, sections 4.3 and 4.4, and 4.5.3 for
// what is beyond 4 GB, which is refused.
import { raise } from './errors.ts';

const versionNeeded = 20;
const localHeader = 0x04034b50;
const centralHeader = 0x02014b50;
const endRecord = 0x06054b50;
const namesAreUtf8 = 1 << 11;
/** 1 January 1980, the first day that the format knows: the same files give the same bytes. */
const firstDay = 0x21;
const maxBytes = 2 ** 32 - 1;

/** Of the polynomial 0xedb88320, a byte at a time. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

async function crc32(blob: Blob): Promise<number> {
  let crc = -1;
  const reader = blob.stream().getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read())
    for (const byte of value!) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}

/** Numbers of four bytes, or of two where they are wrapped in an array; least significant byte first. */
function record(...fields: readonly (number | readonly [number])[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(
    new ArrayBuffer(fields.reduce<number>((sum, f) => sum + (typeof f === 'number' ? 4 : 2), 0)),
  );
  let at = 0;
  for (const field of fields) {
    if (typeof field === 'number') view.setUint32(at, field, true);
    else view.setUint16(at, field[0], true);
    at += typeof field === 'number' ? 4 : 2;
  }
  return new Uint8Array(view.buffer);
}

export async function zip(files: Readonly<Record<string, Blob>>): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let offset = 0;
  let directoryBytes = 0;
  for (const [name, blob] of Object.entries(files)) {
    const nameBytes = new TextEncoder().encode(name);
    const crc = await crc32(blob);
    const common = [[versionNeeded], [namesAreUtf8], [0], [0], [firstDay], crc, blob.size, blob.size] as const;
    const lengths = [[nameBytes.length], [0]] as const;
    const header = record(localHeader, ...common, ...lengths);
    const entry = record(centralHeader, [versionNeeded], ...common, ...lengths, [0], [0], [0], 0, offset);
    parts.push(header, nameBytes, blob);
    directory.push(entry, nameBytes);
    offset += header.length + nameBytes.length + blob.size;
    directoryBytes += entry.length + nameBytes.length;
    if (offset > maxBytes) raise('too_large', `a .zip holds at most ${maxBytes} bytes`);
  }
  const count = [Object.keys(files).length] as const;
  const end = record(endRecord, [0], [0], count, count, directoryBytes, offset, [0]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}
