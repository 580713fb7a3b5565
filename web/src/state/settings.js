// How the model writes. Plain values with limits; everything that comes from outside (storage, links) is checked here.
import { signal } from '@preact/signals';
import { readValue, writeValue } from './storage';
export const DEFAULTS = { temperature: 0.8, topP: 0.9, repetitionPenalty: 1.1, maxTokens: 160, seed: null };
export const LIMITS = {
    temperature: { min: 0, max: 1.5, step: 0.05 },
    topP: { min: 0.05, max: 1, step: 0.05 },
    repetitionPenalty: { min: 1, max: 1.5, step: 0.05 },
    maxTokens: { min: 16, max: 1024, step: 16 },
};
export const MAX_SEED = 0xffffffff;
export const settings = signal(DEFAULTS);
function limited(name, value, fallback) {
    const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
    if (value === null || value === undefined || !Number.isFinite(number))
        return fallback;
    const { min, max } = LIMITS[name];
    return Math.min(max, Math.max(min, number));
}
function seedOf(value) {
    if (value === null || value === undefined || value === '')
        return null;
    const number = Math.trunc(Number(value));
    return Number.isFinite(number) && number >= 0 && number <= MAX_SEED ? number : null;
}
/** Settings from values of any kind; what is missing or makes no sense keeps the value of `base`. */
export function checked(values, base) {
    return {
        temperature: limited('temperature', values.temperature, base.temperature),
        topP: limited('topP', values.topP, base.topP),
        repetitionPenalty: limited('repetitionPenalty', values.repetitionPenalty, base.repetitionPenalty),
        maxTokens: Math.round(limited('maxTokens', values.maxTokens, base.maxTokens)),
        seed: 'seed' in values ? seedOf(values.seed) : base.seed,
    };
}
export function change(values) {
    settings.value = checked(values, settings.value);
    void writeValue('settings', settings.value);
}
export async function restoreSettings() {
    settings.value = checked((await readValue('settings')) ?? {}, DEFAULTS);
}
/** A fresh seed, for a text that is to differ from all others. */
export const freshSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
