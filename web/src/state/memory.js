import { isCode } from './problem';
import { deleteMemory, listMemories, readMemory, writeMemory } from './storage';
const KEPT_BYTES = 64 * 1024 * 1024;
const STORED_PASSAGES = 32;
// Long texts are read in slices, so that there is progress to show and a place to stop.
const SLICE_TOKENS = 256;
const kept = new Map();
/** Keeps what `model` remembers after a passage, here and for the next visit. */
export function remember(passage, model, bytes) {
    kept.delete(passage);
    kept.set(passage, { model, bytes });
    let size = 0;
    for (const memory of kept.values())
        size += memory.bytes.byteLength;
    for (const [oldest, memory] of kept) {
        if (size <= KEPT_BYTES)
            break;
        kept.delete(oldest);
        size -= memory.bytes.byteLength;
    }
    void writeMemory(passage, { model, bytes });
}
/** Drops stored memories of passages that are no longer in the text, and the oldest beyond a limit. */
export async function tidyMemories(story) {
    const order = story.versions.flatMap((version) => version.passages.map((passage) => passage.id));
    const wanted = new Set(order.slice(-STORED_PASSAGES));
    for (const passage of await listMemories())
        if (!wanted.has(passage))
            await deleteMemory(passage);
}
async function recall(passage, model) {
    const memory = kept.get(passage.id) ?? (await readMemory(passage.id));
    return memory?.model === model ? memory.bytes : undefined;
}
/** A session that has read `passages`, the fewest of them anew. */
export async function sessionAfter(model, key, passages, reading) {
    const session = await model.createSession();
    try {
        const unread = passages.slice(await loadNearest(session, key, passages));
        const ids = [];
        for (const passage of unread) {
            const own = passage.ids && passage.model === key ? passage.ids : await model.tokenizer.encode(passage.text);
            for (const id of own)
                ids.push(id);
        }
        for (let done = 0; done < ids.length; done += SLICE_TOKENS) {
            reading.onProgress(done, ids.length);
            await session.append(ids.slice(done, done + SLICE_TOKENS), { signal: reading.signal });
        }
        reading.onProgress(ids.length, ids.length);
        return session;
    }
    catch (error) {
        await session.dispose().catch(() => undefined);
        throw error;
    }
}
/** Puts the latest memory that is there into the session; returns how many passages it covers. */
async function loadNearest(session, key, passages) {
    for (let length = passages.length; length > 0; length--) {
        const memory = await recall(passages[length - 1], key);
        if (!memory)
            continue;
        try {
            await session.loadState(memory);
            return length;
        }
        catch (error) {
            // Another model under the same name (an update of the page): its memory is of no use, the text still is.
            if (!isCode(error, 'state_mismatch') && !isCode(error, 'malformed'))
                throw error;
        }
    }
    return 0;
}
