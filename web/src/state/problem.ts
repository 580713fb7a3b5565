// What went wrong, in the person's words: one sentence, one thing to do, the details folded away.
import { signal } from '@preact/signals';
import type { SutraErrorCode, SutraErrorLike } from 'sutra-web';

export interface Problem {
  readonly sentence: string;
  /** What would help. */
  readonly hint: string;
  /** For whoever wants to report it. */
  readonly details: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

export const problem = signal<Problem | null>(null);

const REASONS: Record<SutraErrorCode, string> = {
  invalid_argument: 'a setting has a value that makes no sense here',
  not_found: 'something it needs is missing',
  io: 'a file could not be read',
  truncated: 'a file ends too early, as an interrupted download does',
  malformed: 'a file is damaged or is not what its name says',
  unsupported: 'it needs something that Sutra does not have yet',
  dtype_mismatch: 'its numbers are of a kind that does not belong there',
  shape_mismatch: 'its parts do not fit together',
  too_large: 'it is too large for this page',
  out_of_memory: 'there is not enough memory',
  non_finite: 'it contains values that are not numbers',
  state_mismatch: 'the saved memory belongs to another model',
  cancelled: 'it was stopped',
  self_test_failed: 'the engine gave wrong results on this device and was not used',
  internal: 'the engine made a mistake',
  worker_crashed: 'the engine stopped unexpectedly',
  disposed: 'the model was already closed',
};

const FALLBACK_HINTS: Partial<Record<SutraErrorCode, string>> = {
  not_found: 'Open the whole folder of the model: its weights, config.json and tokenizer.',
  truncated: 'Download it again, or open another copy.',
  malformed: 'Download it again, or open another copy.',
  unsupported: 'RWKV, Mamba and Llama models work here, as .safetensors, .pth or .gguf files.',
  out_of_memory: 'Close other tabs, or choose a smaller model.',
  too_large: 'Choose a smaller model.',
};

const isSutraError = (error: unknown): error is SutraErrorLike =>
  error instanceof Error && typeof (error as Partial<SutraErrorLike>).code === 'string' && 'hint' in error;

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

export const isCode = (error: unknown, code: SutraErrorCode): boolean => isSutraError(error) && error.code === code;

function detailsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = isSutraError(error) ? `${error.code}: ${error.message}` : `${error.name}: ${error.message}`;
  return error.cause === undefined ? own : `${own}\n${detailsOf(error.cause)}`;
}

/** `what` begins the sentence: "“story” could not be loaded". */
export function describe(what: string, error: unknown): Problem {
  if (!isSutraError(error)) return { sentence: `${what}.`, hint: '', details: detailsOf(error) };
  const hint = error.hint || FALLBACK_HINTS[error.code] || '';
  return {
    sentence: `${what}: ${REASONS[error.code] ?? 'something unexpected happened'}.`,
    hint,
    details: detailsOf(error),
  };
}

export function report(what: string, error: unknown, action?: Problem['action']): void {
  const described = describe(what, error);
  problem.value = action ? { ...described, action } : described;
}
