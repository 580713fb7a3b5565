// How the model writes. Plain values with limits; everything that comes from outside (storage, links) is checked here.
import { signal } from '@preact/signals';
import { readValue, writeValue } from './storage';

export interface Settings {
  readonly temperature: number;
  readonly topP: number;
  readonly repetitionPenalty: number;
  readonly maxTokens: number;
  /** null: a fresh one for every text. */
  readonly seed: number | null;
}

export const DEFAULTS: Settings = { temperature: 0.8, topP: 0.9, repetitionPenalty: 1.1, maxTokens: 160, seed: null };

export const LIMITS = {
  temperature: { min: 0, max: 1.5, step: 0.05 },
  topP: { min: 0.05, max: 1, step: 0.05 },
  repetitionPenalty: { min: 1, max: 1.5, step: 0.05 },
  maxTokens: { min: 16, max: 1024, step: 16 },
} as const;

export const MAX_SEED = 0xffffffff;

export const settings = signal<Settings>(DEFAULTS);

type Limited = keyof typeof LIMITS;

function limited(name: Limited, value: unknown, fallback: number): number {
  const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
  if (value === null || value === undefined || !Number.isFinite(number)) return fallback;
  const { min, max } = LIMITS[name];
  return Math.min(max, Math.max(min, number));
}

function seedOf(value: unknown): number | null {
  if (value === null || value === undefined || value === '') return null;
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) && number >= 0 && number <= MAX_SEED ? number : null;
}

/** Settings from values of any kind; what is missing or makes no sense keeps the value of `base`. */
export function checked(values: Partial<Record<keyof Settings, unknown>>, base: Settings): Settings {
  return {
    temperature: limited('temperature', values.temperature, base.temperature),
    topP: limited('topP', values.topP, base.topP),
    repetitionPenalty: limited('repetitionPenalty', values.repetitionPenalty, base.repetitionPenalty),
    maxTokens: Math.round(limited('maxTokens', values.maxTokens, base.maxTokens)),
    seed: 'seed' in values ? seedOf(values.seed) : base.seed,
  };
}

export function change(values: Partial<Settings>): void {
  settings.value = checked(values, settings.value);
  void writeValue('settings', settings.value);
}

export async function restoreSettings(): Promise<void> {
  settings.value = checked((await readValue<Partial<Settings>>('settings')) ?? {}, DEFAULTS);
}

/** A fresh seed, for a text that is to differ from all others. */
export const freshSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] as number;
