// What the layout depends on beyond style sheets.
import { signal } from '@preact/signals';
function matches(query) {
    const list = matchMedia(query);
    const value = signal(list.matches);
    list.addEventListener('change', () => {
        value.value = list.matches;
    });
    return value;
}
/** Versions fit side by side. */
export const wide = matches('(min-width: 900px)');
/** A finger is the main pointer: no focus by itself, it would bring up the keyboard. */
export const touch = matches('(pointer: coarse)');
/** There is a margin beside the text column where tools can appear under the pointer without moving anything. */
export const margin = matches('(hover: hover) and (min-width: 1080px)');
