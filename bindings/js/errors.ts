// The package's errors, and the only file that throws.
import type { EngineErrorCode, SutraErrorCode, SutraErrorLike } from './types.ts';

/** In the order of src/base/error.h: the engine reports the first as 1. */
export const engineErrorCodes = [
  'invalid_argument',
  'not_found',
  'io',
  'truncated',
  'malformed',
  'unsupported',
  'dtype_mismatch',
  'shape_mismatch',
  'too_large',
  'out_of_memory',
  'non_finite',
  'state_mismatch',
  'cancelled',
  'self_test_failed',
  'internal',
] as const satisfies readonly EngineErrorCode[];

/** What helps in general; a call that knows better passes its own hint. */
const hints: Record<SutraErrorCode, string> = {
  invalid_argument: '',
  not_found: '',
  io: 'Check the address and the connection, then try again.',
  truncated: 'The file is incomplete: download or copy it again.',
  malformed: 'The file is damaged or of another kind: download it again, or check that it is the right one.',
  unsupported: 'Choose an RWKV-7 or Mamba model in the safetensors layout.',
  dtype_mismatch: 'Check that config.json and the weights belong together.',
  shape_mismatch: 'Check that config.json and the weights belong together.',
  too_large: 'Choose a smaller or a 4-bit model.',
  out_of_memory: 'Close other tabs or dispose of other models, or choose a smaller or a 4-bit model.',
  non_finite: 'The weights are damaged, or were trained for wider numbers than they are stored in.',
  state_mismatch: 'Use the model, and with a checkpoint the text and the options, that it was made with.',
  cancelled: '',
  self_test_failed: 'Update the browser; until then choose the artefact simd128 or a smaller thread count.',
  internal: 'This is a defect in Sutra; please report it with the message.',
  worker_crashed: 'Load the model again; a saved state or text can be restored into it.',
  disposed: 'Load the model again or create a new session.',
};

export interface ErrorDetails {
  readonly hint?: string;
  readonly cause?: unknown;
}

export class SutraError extends Error implements SutraErrorLike {
  override readonly name = 'SutraError';
  readonly code: SutraErrorCode;
  readonly hint: string;

  constructor(code: SutraErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint ?? hints[code];
  }
}

/** An error as a message between threads: classes do not survive the way. */
export interface ErrorData {
  readonly code: SutraErrorCode | 'aborted';
  readonly message: string;
  readonly hint: string;
  /** The cause's text, for a person who reads the console. */
  readonly cause: string;
}

export function raise(code: SutraErrorCode, message: string, details?: ErrorDetails): never {
  throw new SutraError(code, message, details);
}

/** The engine trapped: its memory means nothing any more, and its thread has to go. */
export class EngineCrash extends Error {
  override readonly name = 'EngineCrash';
}

export function raiseCrash(cause: unknown): never {
  throw new EngineCrash(cause instanceof Error ? cause.message : String(cause), { cause });
}

/** Passes on what was caught, unchanged. */
export function rethrow(error: unknown): never {
  throw error;
}

export function abortError(): DOMException {
  return new DOMException('The work was stopped by its caller.', 'AbortError');
}

export function raiseIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError();
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function assertNever(value: never): never {
  throw new SutraError('internal', `unexpected value ${JSON.stringify(value)}`);
}

export function toErrorData(error: unknown): ErrorData {
  if (isAbort(error)) return { code: 'aborted', message: '', hint: '', cause: '' };
  if (error instanceof SutraError) {
    const { code, message, hint, cause } = error;
    return { code, message, hint, cause: cause === undefined ? '' : String(cause) };
  }
  return { code: 'internal', message: String(error), hint: hints.internal, cause: (error as Error)?.stack ?? '' };
}

export function fromErrorData(data: ErrorData): Error {
  if (data.code === 'aborted') return abortError();
  return new SutraError(data.code, data.message, { hint: data.hint, cause: data.cause || undefined });
}
