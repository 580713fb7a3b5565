// What this browser offers, and what came of it.
import { signal } from '@preact/signals';
import { type Probe, probe } from 'sutra-web';

export interface Storage {
  readonly usedBytes: number;
  readonly quotaBytes: number;
  readonly persisted: boolean;
}

export const probed = signal<Probe | null>(null);
export const storage = signal<Storage | null>(null);

export async function lookAtDevice(): Promise<void> {
  probed.value = await probe();
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  if (!estimate) return;
  const persisted = (await navigator.storage.persisted?.().catch(() => false)) ?? false;
  storage.value = { usedBytes: estimate.usage ?? 0, quotaBytes: estimate.quota ?? 0, persisted };
}
