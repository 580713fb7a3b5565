// The text: versions of a story that share their beginnings. A story is a value; every change makes a new one and keeps
// the old one for undo, exactly as the model's memory of each passage is kept (state/memory.ts).
import { computed, signal } from '@preact/signals';
export const OPENING = 'Once upon a time, at the edge of a great dark wood,';
export const newId = () => crypto.randomUUID();
export function startOf(draft) {
    const version = { id: newId(), passages: [] };
    return { versions: [version], active: version.id, draft };
}
export const story = signal(startOf(OPENING));
const past = signal([]);
const future = signal([]);
const UNDO_STEPS = 100;
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);
export const activeVersion = computed(() => story.value.versions.find((version) => version.id === story.value.active) ?? story.value.versions[0]);
export const isEmpty = computed(() => story.value.versions.every((version) => version.passages.length === 0));
/** How many passages all versions begin with. */
export const sharedLength = computed(() => {
    const [first, ...others] = story.value.versions;
    if (!first || others.length === 0)
        return 0;
    const shared = (index) => others.every((other) => other.passages[index]?.id === first.passages[index]?.id);
    let length = 0;
    while (length < first.passages.length && shared(length))
        length++;
    return length;
});
/** A change that can be undone. */
export function commit(next) {
    past.value = [...past.value, story.value].slice(-UNDO_STEPS);
    future.value = [];
    story.value = next;
}
/** A change within a step: text as it streams in, typing, looking at another version. */
export function amend(next) {
    story.value = { ...story.value, ...next };
}
export function undo() {
    const last = past.value.at(-1);
    if (!last)
        return;
    future.value = [story.value, ...future.value];
    past.value = past.value.slice(0, -1);
    story.value = last;
}
export function redo() {
    const next = future.value[0];
    if (!next)
        return;
    past.value = [...past.value, story.value];
    future.value = future.value.slice(1);
    story.value = next;
}
/** The story with other passages in one version. */
export const withPassages = (from, id, passages) => ({
    ...from,
    versions: from.versions.map((version) => (version.id === id ? { ...version, passages } : version)),
});
/** The story with one more version beside the active one, which becomes the active one. */
export function withBranch(from, passages) {
    const version = { id: newId(), passages };
    const index = from.versions.findIndex((other) => other.id === from.active) + 1;
    return { ...from, versions: from.versions.toSpliced(index, 0, version), active: version.id };
}
export function withoutVersion(from, id) {
    const index = from.versions.findIndex((version) => version.id === id);
    if (index < 0 || from.versions.length === 1)
        return from;
    const versions = from.versions.toSpliced(index, 1);
    const neighbour = versions[Math.max(0, index - 1)];
    return { ...from, versions, active: from.active === id ? neighbour.id : from.active };
}
export const select = (id) => amend({ active: id });
/** Text of a version as the person would copy it. */
export const textOf = (version) => version.passages
    .map((passage) => passage.text)
    .join('')
    .trim();
/** The person's words as they follow what stands there: one space between words, none left hanging at the end. */
export function joined(before, draft) {
    const text = draft.replace(/[ \t]+$/, '');
    const needsSpace = before !== '' && text !== '' && !/\s$/.test(before) && !/^[\s.,;:!?…)\]”’]/.test(text);
    return needsSpace ? ` ${text}` : text;
}
