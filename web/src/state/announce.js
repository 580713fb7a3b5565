// What a screen reader is told: sentences, not tokens.
import { signal } from '@preact/signals';
export const announcement = signal('');
let pending = '';
/** Speaks a sentence of the page's own. */
export function announce(sentence) {
    announcement.value = sentence;
}
/** Takes text as it is written and speaks every sentence once it is whole. */
export function announceWriting(text) {
    pending += text;
    const end = Math.max(...['. ', '! ', '? ', '.” ', '." ', '\n'].map((mark) => pending.lastIndexOf(mark) + mark.length - 1));
    if (end < 1 || !/[.!?\n]/.test(pending.slice(0, end + 1)))
        return;
    announcement.value = pending.slice(0, end).trim();
    pending = pending.slice(end);
}
/** Speaks what is left, and how the writing ended. */
export function announceEnd(how) {
    announcement.value = `${pending.trim()} ${how}`.trim();
    pending = '';
}
