// Which place of the page is open. The address says so after '#/', so that back, forward and bookmarks work; a link
// may instead carry a prompt and settings, which fill the fields and nothing more.
import { signal } from '@preact/signals';
import { checked, settings } from './settings';
import { commit, startOf } from './story';
export const place = signal('write');
export const addressOf = (to) => (to === 'write' ? '#/' : `#/${to}`);
const LINKED = {
    temperature: 'temperature',
    top_p: 'topP',
    repetition_penalty: 'repetitionPenalty',
    max_tokens: 'maxTokens',
    seed: 'seed',
};
function readAddress() {
    const hash = location.hash.slice(1);
    place.value = hash === '/device' ? 'device' : 'write';
    if (hash === '' || hash.startsWith('/'))
        return;
    const fields = new URLSearchParams(hash);
    const values = Object.entries(LINKED).flatMap(([name, key]) => (fields.has(name) ? [[key, fields.get(name)]] : []));
    settings.value = checked(Object.fromEntries(values), settings.value);
    const prompt = fields.get('prompt');
    if (prompt !== null)
        commit(startOf(prompt));
    // The fields are filled: a reload must not fill them again over what the person has written since.
    history.replaceState(null, '', addressOf('write'));
}
/** A link that fills in this prompt and these settings for somebody else. */
export function linkTo(prompt) {
    const now = settings.value;
    const fields = new URLSearchParams({ prompt });
    for (const [name, key] of Object.entries(LINKED))
        if (now[key] !== null)
            fields.set(name, String(now[key]));
    return `${location.origin}${location.pathname}#${fields.toString().replaceAll('+', '%20')}`;
}
export function followAddress() {
    addEventListener('hashchange', readAddress);
    readAddress();
}
