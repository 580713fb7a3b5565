// What the model remembers after each passage: one buffer of fixed size per passage, whatever the length of the text.
// It makes trying again and branching instant and exact. It is only ever a short cut: a memory that is not there is
// made again by reading the same tokens.
import type { Session, SutraModel } from 'sutra-web';
import { isCode } from './problem';
import { deleteMemory, listMemories, readMemory, type StoredMemory, writeMemory } from './storage';
import type { Passage, Story } from './story';

const KEPT_BYTES = 64 * 1024 * 1024;
const STORED_BYTES = 32 * 1024 * 1024;
// Long texts are read in slices, so that there is progress to show and a place to stop.
const SLICE_TOKENS = 256;

const kept = new Map<string, StoredMemory>();
/** Of the model in use; the same for every passage. */
let memoryBytes = 0;

/** Keeps what `model` remembers after a passage, here and for the next visit. */
export function remember(passage: string, model: string, bytes: Uint8Array): void {
  memoryBytes = bytes.byteLength;
  kept.delete(passage);
  kept.set(passage, { model, bytes });
  let size = 0;
  for (const memory of kept.values()) size += memory.bytes.byteLength;
  for (const [oldest, memory] of kept) {
    if (size <= KEPT_BYTES) break;
    kept.delete(oldest);
    size -= memory.bytes.byteLength;
  }
  void writeMemory(passage, { model, bytes });
}

/** Drops stored memories of passages that are no longer in the text, and the oldest beyond a limit. */
export async function tidyMemories(story: Story): Promise<void> {
  const order = story.versions.flatMap((version) => version.passages.map((passage) => passage.id));
  const room = Math.max(1, Math.floor(STORED_BYTES / Math.max(1, memoryBytes)));
  const wanted = new Set(order.slice(-room));
  for (const passage of await listMemories()) if (!wanted.has(passage)) await deleteMemory(passage);
}

async function recall(passage: Passage, model: string): Promise<Uint8Array | undefined> {
  const memory = kept.get(passage.id) ?? (await readMemory(passage.id));
  return memory?.model === model ? memory.bytes : undefined;
}

export interface Reading {
  readonly signal: AbortSignal;
  /** Tokens read of all that have to be read. */
  readonly onProgress: (read: number, total: number) => void;
}

/** A session that has read `passages`, the fewest of them anew. */
export async function sessionAfter(
  model: SutraModel,
  key: string,
  passages: readonly Passage[],
  reading: Reading,
): Promise<Session> {
  const session = await model.createSession();
  try {
    const unread = passages.slice(await loadNearest(session, key, passages));
    const ids: number[] = [];
    for (const passage of unread) {
      const own = passage.ids && passage.model === key ? passage.ids : await model.tokenizer.encode(passage.text);
      for (const id of own) ids.push(id);
    }
    for (let done = 0; done < ids.length; done += SLICE_TOKENS) {
      reading.onProgress(done, ids.length);
      await session.append(ids.slice(done, done + SLICE_TOKENS), { signal: reading.signal });
    }
    reading.onProgress(ids.length, ids.length);
    return session;
  } catch (error) {
    await session.dispose().catch(() => undefined);
    throw error;
  }
}

/** Puts the latest memory that is there into the session; returns how many passages it covers. */
async function loadNearest(session: Session, key: string, passages: readonly Passage[]): Promise<number> {
  for (let length = passages.length; length > 0; length--) {
    const memory = await recall(passages[length - 1] as Passage, key);
    if (!memory) continue;
    try {
      await session.loadState(memory);
      return length;
    } catch (error) {
      // Another model under the same name (an update of the page), or damaged in storage: the text is still there.
      if (isCode(error, 'worker_crashed') || isCode(error, 'disposed')) throw error;
    }
  }
  return 0;
}
