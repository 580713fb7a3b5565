// What this browser offers, and what came of it.
import { signal } from '@preact/signals';
import { probe } from 'sutra-web';
export const probed = signal(null);
export const storage = signal(null);
export async function lookAtDevice() {
    probed.value = await probe();
    const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
    if (!estimate)
        return;
    const persisted = (await navigator.storage.persisted?.().catch(() => false)) ?? false;
    storage.value = { usedBytes: estimate.usage ?? 0, quotaBytes: estimate.quota ?? 0, persisted };
}
