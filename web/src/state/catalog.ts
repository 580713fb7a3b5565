// The models that come with the page, as models/catalog.json lists them.
import { signal } from '@preact/signals';
import type { LoadOptions, ModelSource } from 'sutra-web';
import { readValue, writeValue } from './storage';

/** One entry of models/catalog.json. Only the name of its folder is really needed. */
export interface CatalogEntry {
  readonly id: string;
  readonly name?: string;
  readonly architecture?: string;
  readonly files?: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  readonly licence?: string;
  readonly bytes?: number;
  readonly parameters?: number;
  readonly languages?: readonly string[];
  readonly summary?: { readonly good?: string; readonly bad?: string } | string;
  readonly madeHow?: string;
}

/** A model that can be chosen: from the catalogue, or from files that the person opened. */
export interface Choice {
  /** Stable over visits for models of the catalogue; unique for opened ones. */
  readonly key: string;
  readonly name: string;
  readonly source: ModelSource;
  readonly opened: boolean;
  /** What the files must be; unknown for opened ones. */
  readonly manifest: NonNullable<LoadOptions['manifest']>;
  readonly card: CatalogEntry;
}

const DEFAULT_ID = 'fairy-rwkv7';

export const choices = signal<readonly Choice[]>([]);

const modelsFolder = () => new URL(`${import.meta.env.BASE_URL}models/`, document.baseURI);

const asChoice = (card: CatalogEntry): Choice => ({
  key: card.id,
  name: card.name ?? card.id,
  source: new URL(`${encodeURIComponent(card.id)}/`, modelsFolder()),
  opened: false,
  manifest: Object.fromEntries((card.files ?? []).map(({ name, bytes, sha256 }) => [name, { bytes, sha256 }])),
  card,
});

function parseCatalog(json: unknown): CatalogEntry[] {
  const list = Array.isArray(json) ? json : (json as { models?: unknown } | null)?.models;
  if (!Array.isArray(list)) throw new Error('The list of models is not in the expected form.');
  return list.filter((entry): entry is CatalogEntry => typeof entry?.id === 'string');
}

async function fetchCatalog(): Promise<CatalogEntry[]> {
  const response = await fetch(new URL('catalog.json', modelsFolder()), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`The list of models answered with status ${response.status}.`);
  const entries = parseCatalog(await response.json());
  await writeValue('catalog', entries);
  return entries;
}

/** Reads the list, or the one of the last visit when there is no network. */
export async function readCatalog(): Promise<void> {
  const entries = await fetchCatalog().catch(async (error: unknown) => {
    const last = await readValue<CatalogEntry[]>('catalog');
    if (!last) throw error;
    return last;
  });
  choices.value = [...entries.map(asChoice), ...choices.value.filter((choice) => choice.opened)];
}

/** The model to start with: the one used last, if it is still there. */
export const startChoice = (lastUsed: string | undefined): Choice | undefined =>
  choices.value.find((choice) => choice.key === lastUsed) ??
  choices.value.find((choice) => choice.key === DEFAULT_ID) ??
  choices.value[0];

/** Adds files that the person opened to the list. */
export function addOpened(name: string, files: readonly File[]): Choice {
  const key = `opened:${name}:${Date.now()}`;
  const choice: Choice = { key, name, source: files, opened: true, manifest: {}, card: { id: name } };
  choices.value = [...choices.value, choice];
  return choice;
}

/** Takes opened files off the list again, when they turned out not to be a model. */
export function removeOpened(choice: Choice): void {
  choices.value = choices.value.filter((other) => other !== choice);
}
