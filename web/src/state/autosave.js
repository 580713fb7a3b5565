// The text survives a reload: it is written down shortly after every change, and when the page is put away.
import { effect, untracked } from '@preact/signals';
import { readValue, writeValue } from './storage';
import { story } from './story';
const PAUSE_MS = 400;
let timer;
let paused = false;
function save() {
    clearTimeout(timer);
    timer = undefined;
    if (!paused)
        void writeValue('story', untracked(() => story.value));
}
const isStory = (value) => value !== undefined &&
    Array.isArray(value.versions) &&
    value.versions.length > 0 &&
    value.versions.every((version) => Array.isArray(version.passages)) &&
    typeof value.draft === 'string';
export async function restoreStory() {
    const stored = await readValue('story');
    if (isStory(stored))
        story.value = stored;
}
export function keepSaving() {
    let first = true;
    effect(() => {
        story.value;
        if (first)
            first = false;
        else
            timer ??= setTimeout(save, PAUSE_MS);
    });
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && timer && save());
    addEventListener('pagehide', () => timer && save());
}
/** From now on nothing is written down any more: everything is about to be deleted. */
export function stopSaving() {
    paused = true;
    clearTimeout(timer);
}
