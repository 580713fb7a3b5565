// The text: versions of a story that share their beginnings. A story is a value; every change makes a new one and keeps
// the old one for undo, exactly as the model's memory of each passage is kept (state/memory.ts).
import { computed, signal } from '@preact/signals';

/** How a stretch of text came to be. Belongs to the last passage of what was written in one go. */
export interface Run {
  readonly model: string;
  readonly seed: number;
  readonly temperature: number;
  readonly topP: number;
  readonly tokens: number;
  readonly firstTokenMs: number;
  readonly tokensPerS: number;
  readonly ending: Ending;
}

/** `length`: as long as asked. `eos`: the model ended its text. `stopped`: by the person. `failed`: by an error. */
export type Ending = 'length' | 'eos' | 'stopped' | 'failed';

/** A stretch of text by one author; the model's are one paragraph each, so that each can be left at its beginning. */
export interface Passage {
  readonly id: string;
  readonly author: 'person' | 'model';
  readonly text: string;
  /** What the model read or wrote, token by token, and which model: reading them again gives the same memory. */
  readonly ids?: readonly number[];
  readonly model?: string;
  /** Passages written in one go share it. */
  readonly go?: string;
  readonly run?: Run;
}

export interface Version {
  readonly id: string;
  readonly passages: readonly Passage[];
}

export interface Story {
  readonly versions: readonly Version[];
  readonly active: string;
  /** What the person is typing. */
  readonly draft: string;
}

export const OPENING = 'Once upon a time, at the edge of a great dark wood,';

export const newId = (): string => crypto.randomUUID();

export function startOf(draft: string): Story {
  const version: Version = { id: newId(), passages: [] };
  return { versions: [version], active: version.id, draft };
}

export const story = signal<Story>(startOf(OPENING));
const past = signal<readonly Story[]>([]);
const future = signal<readonly Story[]>([]);

const UNDO_STEPS = 100;

export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);
export const activeVersion = computed<Version>(
  () =>
    story.value.versions.find((version) => version.id === story.value.active) ?? (story.value.versions[0] as Version),
);
export const isEmpty = computed(() => story.value.versions.every((version) => version.passages.length === 0));

/** How many passages all versions begin with. */
export const sharedLength = computed(() => {
  const [first, ...others] = story.value.versions;
  if (!first || others.length === 0) return 0;
  const shared = (index: number) => others.every((other) => other.passages[index]?.id === first.passages[index]?.id);
  let length = 0;
  while (length < first.passages.length && shared(length)) length++;
  return length;
});

/** A change that can be undone. */
export function commit(next: Story): void {
  past.value = [...past.value, story.value].slice(-UNDO_STEPS);
  future.value = [];
  story.value = next;
}

/** A change within a step: text as it streams in, typing, looking at another version. */
export function amend(next: Partial<Story>): void {
  story.value = { ...story.value, ...next };
}

export function undo(): void {
  const last = past.value.at(-1);
  if (!last) return;
  future.value = [story.value, ...future.value];
  past.value = past.value.slice(0, -1);
  story.value = last;
}

export function redo(): void {
  const next = future.value[0];
  if (!next) return;
  past.value = [...past.value, story.value];
  future.value = future.value.slice(1);
  story.value = next;
}

/** The story with other passages in one version. */
export const withPassages = (from: Story, id: string, passages: readonly Passage[]): Story => ({
  ...from,
  versions: from.versions.map((version) => (version.id === id ? { ...version, passages } : version)),
});

/** The story with one more version beside the active one, which becomes the active one. */
export function withBranch(from: Story, passages: readonly Passage[]): Story {
  const version: Version = { id: newId(), passages };
  const index = from.versions.findIndex((other) => other.id === from.active) + 1;
  return { ...from, versions: from.versions.toSpliced(index, 0, version), active: version.id };
}

export function withoutVersion(from: Story, id: string): Story {
  const index = from.versions.findIndex((version) => version.id === id);
  if (index < 0 || from.versions.length === 1) return from;
  const versions = from.versions.toSpliced(index, 1);
  const neighbour = versions[Math.max(0, index - 1)] as Version;
  return { ...from, versions, active: from.active === id ? neighbour.id : from.active };
}

export const select = (id: string): void => amend({ active: id });

/** Text of a version as the person would copy it. */
export const textOf = (version: Version): string =>
  version.passages
    .map((passage) => passage.text)
    .join('')
    .trim();

/** What comes after a text that the model has ended begins a paragraph. */
export const breakAfter = (last: Passage | undefined): string => (last?.run?.ending === 'eos' ? '\n\n' : '');

/** The person's words as they follow what stands there: one space between words, none left hanging at the end. */
export function joined(last: Passage | undefined, draft: string): string {
  const text = draft.replace(/[ \t]+$/, '');
  if (text === '' || !last) return text;
  const needsSpace = !/\s$/.test(last.text) && !/^[\s.,;:!?…)\]”’]/.test(text);
  return (breakAfter(last) || (needsSpace ? ' ' : '')) + text;
}
