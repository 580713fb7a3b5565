// Defaults and whole numbers of the options. Ranges of real numbers are the engine's matter: it knows what it can use.
import { raise } from './errors.ts';
import type { WireGenerateOptions } from './protocol.ts';
import type { GenerateOptions, Prompt, TokenIds } from './types.ts';

export function toWireOptions(options: GenerateOptions): WireGenerateOptions {
  const { stop = [], temperature = 1, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  return {
    maxTokens: wholeNumber('maxTokens', options.maxTokens ?? 256, Number.MAX_SAFE_INTEGER),
    topK: wholeNumber('topK', options.topK ?? 0, 2 ** 31 - 1),
    seed: wholeNumber('seed', options.seed ?? randomSeed(), Number.MAX_SAFE_INTEGER),
    temperature: number('temperature', temperature),
    topP: number('topP', topP),
    minP: number('minP', minP),
    repetitionPenalty: number('repetitionPenalty', repetitionPenalty),
    logprobs: options.logprobs === true,
    stop: (typeof stop === 'string' ? [stop] : [...stop]).map((text) => string('stop', text)),
  };
}

export function wholeNumber(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  return raise('invalid_argument', `${name} must be a whole number from 0 to ${most}, found ${String(value)}`);
}

export function atLeastOne(name: string, value: number, most: number): number {
  if (wholeNumber(name, value, most) > 0) return value;
  return raise('invalid_argument', `${name} must be at least 1, found 0`);
}

export function oneOf<T>(name: string, value: T, known: readonly T[]): void {
  if (known.includes(value)) return;
  raise('invalid_argument', `${name} must be one of ${known.join(', ')}, found ${String(value)}`);
}

function number(name: string, value: number): number {
  if (typeof value === 'number') return value;
  return raise('invalid_argument', `${name} must be a number, found ${String(value)}`);
}

function string(name: string, value: string): string {
  if (typeof value === 'string') return value;
  return raise('invalid_argument', `${name} must be text, found ${String(value)}`);
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

/** Checks what would be bent silently on its way into 32 bits. */
export function checkedIds(ids: TokenIds): TokenIds {
  if (ids instanceof Int32Array) return ids;
  if (!Array.isArray(ids))
    return raise('invalid_argument', `token ids must be an array or an Int32Array, found ${String(ids)}`);
  for (const id of ids) wholeNumber('a token id', id, 2 ** 31 - 1);
  return ids;
}

export function checkedPrompt(prompt: Prompt): Prompt {
  return typeof prompt === 'string' ? prompt : checkedIds(prompt);
}
