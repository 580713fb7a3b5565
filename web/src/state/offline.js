// The copy of the page that works without a network, and the update that waits for the person's word.
import { registerSW } from 'virtual:pwa-register';
import { computed, signal } from '@preact/signals';
import { ready } from './engine';
/** `waiting`: being prepared. `kept`: the page itself works without a network. `none`: this browser cannot. */
const copy = signal('waiting');
/** Whether the page would write a story without a network after a reload. */
export const offline = computed(() => {
    if (copy.value !== 'kept')
        return copy.value;
    if (!ready.value)
        return 'waiting';
    return ready.value.choice.opened ? 'page only' : 'ready';
});
export const updateWaits = signal(false);
let activate = async () => undefined;
export function prepareOffline() {
    if (!('serviceWorker' in navigator) || import.meta.env.DEV) {
        copy.value = 'none';
        return;
    }
    activate = registerSW({
        onNeedRefresh: () => {
            updateWaits.value = true;
        },
        onRegisterError: () => {
            copy.value = 'none';
        },
    });
    void navigator.serviceWorker.ready.then(() => {
        copy.value = 'kept';
    });
}
export const update = () => activate(true);
