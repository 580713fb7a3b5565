// Figures for people.

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'] as const;

/** 6,412,345 → "6.4 MB". */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 && unit > 1 ? value.toFixed(1) : Math.round(value).toLocaleString('en')} ${UNITS[unit]}`;
}

/** How a text's memory grows, for the end of a sentence. */
export const growth = (model: { readonly stateBytesPerToken: number }): string =>
  model.stateBytesPerToken === 0 ? 'however long it is' : `and ${bytes(model.stateBytesPerToken)} more with each token`;

/** Tokens per second: whole numbers, except when they are few. */
export const speed = (perSecond: number): string =>
  perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en');

export const milliseconds = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** 11,012,345 → "11 million". */
export function parameters(count: number): string {
  if (count < 1e6) return Math.round(count).toLocaleString('en');
  const [value, unit] = count < 1e9 ? [count / 1e6, 'million'] : [count / 1e9, 'billion'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export const plural = (count: number, one: string): string =>
  `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;

const ARCHITECTURES: Readonly<Record<string, string>> = {
  rwkv7: 'RWKV-7',
  mamba: 'Mamba-1',
  mamba2: 'Mamba-2',
  llama: 'Llama',
  bamba: 'Bamba',
  granitemoehybrid: 'Granite 4 hybrid',
  falcon_h1: 'Falcon-H1',
};

export const architecture = (type: string): string => ARCHITECTURES[type] ?? type;

const ARTEFACTS = { simd128: 'plain SIMD', relaxed: 'relaxed SIMD' } as const;

export const artefact = (name: keyof typeof ARTEFACTS): string => ARTEFACTS[name];
