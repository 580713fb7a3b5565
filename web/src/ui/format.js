// Figures for people.
const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'];
/** 6,412,345 → "6.4 MB". */
export function bytes(count) {
    let value = count;
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${value < 10 && unit > 1 ? value.toFixed(1) : Math.round(value).toLocaleString('en')} ${UNITS[unit]}`;
}
/** Tokens per second: whole numbers, except when they are few. */
export const speed = (perSecond) => perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en');
export const milliseconds = (ms) => ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
/** 11,012,345 → "11 million". */
export function parameters(count) {
    if (count < 1e6)
        return Math.round(count).toLocaleString('en');
    const [value, unit] = count < 1e9 ? [count / 1e6, 'million'] : [count / 1e9, 'billion'];
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
export const plural = (count, one) => `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
const ARCHITECTURES = { rwkv7: 'RWKV-7', mamba: 'Mamba-1' };
export const architecture = (type) => ARCHITECTURES[type] ?? type;
const ARTEFACTS = { simd128: 'plain SIMD', relaxed: 'relaxed SIMD' };
export const artefact = (name) => ARTEFACTS[name];
