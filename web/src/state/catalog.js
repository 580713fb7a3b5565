// The models that come with the page, as models/catalog.json lists them.
import { signal } from '@preact/signals';
import { readValue, writeValue } from './storage';
const DEFAULT_ID = 'fairy-rwkv7';
export const choices = signal([]);
const modelsFolder = () => new URL(`${import.meta.env.BASE_URL}models/`, document.baseURI);
const asChoice = (card) => ({
    key: card.id,
    name: card.name ?? card.id,
    source: new URL(`${encodeURIComponent(card.id)}/`, modelsFolder()),
    opened: false,
    manifest: Object.fromEntries((card.files ?? []).map(({ name, bytes, sha256 }) => [name, { bytes, sha256 }])),
    card,
});
function parseCatalog(json) {
    const list = Array.isArray(json) ? json : json?.models;
    if (!Array.isArray(list))
        throw new Error('The list of models is not in the expected form.');
    return list.filter((entry) => typeof entry?.id === 'string');
}
async function fetchCatalog() {
    const response = await fetch(new URL('catalog.json', modelsFolder()), { cache: 'no-cache' });
    if (!response.ok)
        throw new Error(`The list of models answered with status ${response.status}.`);
    const entries = parseCatalog(await response.json());
    await writeValue('catalog', entries);
    return entries;
}
/** Reads the list, or the one of the last visit when there is no network. */
export async function readCatalog() {
    const entries = await fetchCatalog().catch(async (error) => {
        const last = await readValue('catalog');
        if (!last)
            throw error;
        return last;
    });
    choices.value = [...entries.map(asChoice), ...choices.value.filter((choice) => choice.opened)];
}
/** The model to start with: the one used last, if it is still there. */
export const startChoice = (lastUsed) => choices.value.find((choice) => choice.key === lastUsed) ??
    choices.value.find((choice) => choice.key === DEFAULT_ID) ??
    choices.value[0];
/** Adds files that the person opened to the list. */
export function addOpened(name, files) {
    const key = `opened:${name}:${Date.now()}`;
    const choice = { key, name, source: files, opened: true, manifest: {}, card: { id: name } };
    choices.value = [...choices.value, choice];
    return choice;
}
/** Takes opened files off the list again, when they turned out not to be a model. */
export function removeOpened(choice) {
    choices.value = choices.value.filter((other) => other !== choice);
}
