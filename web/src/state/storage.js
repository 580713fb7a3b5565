// What survives a reload: one IndexedDB database with two stores. A browser that refuses it (private windows, blocked
// storage) leaves the page working for this visit only; nothing here ever rejects because of that.
const NAME = 'sutra';
const VALUES = 'values';
const MEMORIES = 'memories';
let opened = null;
function open() {
    opened ??= new Promise((resolve) => {
        if (typeof indexedDB === 'undefined')
            return resolve(null);
        const request = indexedDB.open(NAME, 1);
        request.onupgradeneeded = () => {
            request.result.createObjectStore(VALUES);
            request.result.createObjectStore(MEMORIES);
        };
        request.onsuccess = () => {
            // Another tab that clears everything must not wait for this one.
            request.result.onversionchange = () => request.result.close();
            resolve(request.result);
        };
        request.onerror = () => resolve(null);
        request.onblocked = () => resolve(null);
    });
    return opened;
}
function run(store, mode, act) {
    return open().then((database) => new Promise((resolve) => {
        if (!database)
            return resolve(undefined);
        try {
            const transaction = database.transaction(store, mode);
            const request = act(transaction.objectStore(store));
            transaction.oncomplete = () => resolve(request.result);
            transaction.onabort = () => resolve(undefined);
            transaction.onerror = () => resolve(undefined);
        }
        catch {
            resolve(undefined); // closed under us by "Clear everything" in another tab
        }
    }));
}
/** A small value under its name; undefined when there is none. */
export const readValue = (key) => run(VALUES, 'readonly', (store) => store.get(key));
export const writeValue = (key, value) => run(VALUES, 'readwrite', (store) => store.put(value, key));
export const readMemory = (passage) => run(MEMORIES, 'readonly', (store) => store.get(passage));
export const writeMemory = (passage, memory) => run(MEMORIES, 'readwrite', (store) => store.put(memory, passage));
export const listMemories = async () => ((await run(MEMORIES, 'readonly', (store) => store.getAllKeys())) ?? []).map(String);
export const deleteMemory = (passage) => run(MEMORIES, 'readwrite', (store) => store.delete(passage));
/** Removes all that this page and the package have stored in this browser: text, settings, models, the offline copy. */
export async function deleteEverything() {
    (await open())?.close();
    await new Promise((resolve) => {
        const request = indexedDB.deleteDatabase(NAME);
        request.onsuccess = () => resolve();
        request.onerror = () => resolve();
        request.onblocked = () => resolve();
    });
    for (const name of (await globalThis.caches?.keys().catch(() => [])) ?? [])
        await caches.delete(name);
    const root = await navigator.storage?.getDirectory?.().catch(() => null);
    if (root)
        for await (const name of root.keys())
            await root.removeEntry(name, { recursive: true }).catch(() => undefined);
    for (const worker of (await navigator.serviceWorker?.getRegistrations().catch(() => [])) ?? [])
        await worker.unregister();
    localStorage.clear();
    sessionStorage.clear();
}
