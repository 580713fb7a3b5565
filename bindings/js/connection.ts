// One engine thread as seen by its caller: numbered calls, each settled exactly once, whatever happens.
import { assertNever, fromErrorData, SutraError } from './errors.ts';
import type { CallCommand, CallKind, Calls, Command, ProgressOf, Reply } from './protocol.ts';
import type { SutraErrorLike, TextPiece } from './types.ts';

/** The way to the engine's thread; ports.ts makes them. */
export interface Port {
  post(command: Command): void;
  /** While calls are under way a Node process must not end; when none is, it may. */
  setBusy(busy: boolean): void;
  close(): void;
}

export interface PortEvents {
  onReply(reply: Reply): void;
  onCrash(message: string): void;
}

interface Pending {
  resolve(value: never): void;
  reject(error: Error): void;
  onProgress: ((progress: never) => void) | undefined;
  onPiece: ((piece: TextPiece) => void) | undefined;
}

export interface CallOptions<K extends CallKind> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ProgressOf<K>) => void) | undefined;
  readonly onPiece?: ((piece: TextPiece) => void) | undefined;
}

export class Connection implements PortEvents {
  /** Resolves when the engine is gone, and says why. */
  readonly lost: Promise<SutraErrorLike>;
  #resolveLost!: (error: SutraError) => void;
  #port: Port | undefined;
  #error: SutraError | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextCall = 1;
  /** What to close with when the last call has ended. */
  #lastWords: SutraError | undefined;

  constructor() {
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
  }

  attach(port: Port): void {
    if (this.#error) port.close();
    else this.#port = port;
  }

  /** Sends a call; `number` names it for cancel and pull. */
  start<K extends CallKind>(
    kind: K,
    request: Calls[K][0],
    options: CallOptions<K> = {},
  ): { number: number; done: Promise<Calls[K][1]> } {
    const { promise, resolve, reject } = promiseWithResolvers<Calls[K][1]>();
    const number = this.#nextCall++;
    if (this.#error || !this.#port) {
      reject(this.#error ?? new SutraError('internal', 'the engine was called before it was started'));
      return { number, done: promise };
    }
    const { signal, onProgress, onPiece } = options;
    this.#pending.set(number, { resolve, reject, onProgress, onPiece });
    this.#port.setBusy(true);
    try {
      this.#port.post({ kind, call: number, request } as CallCommand);
    } catch (error) {
      // What cannot be cloned never left; the engine is fine.
      this.#settle(number)?.reject(new SutraError('invalid_argument', String(error), { cause: error }));
    }
    if (!signal) return { number, done: promise };
    const cancel = () => this.cancel(number);
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    return { number, done: promise.finally(() => signal.removeEventListener('abort', cancel)) };
  }

  call<K extends CallKind>(kind: K, request: Calls[K][0], options?: CallOptions<K>): Promise<Calls[K][1]> {
    return this.start(kind, request, options).done;
  }

  cancel(call: number): void {
    if (this.#pending.has(call)) this.#port?.post({ kind: 'cancel', call });
  }

  pull(call: number, count: number): void {
    if (this.#pending.has(call)) this.#port?.post({ kind: 'pull', call, count });
  }

  onReply(reply: Reply): void {
    switch (reply.kind) {
      case 'progress':
        this.#pending.get(reply.call)?.onProgress?.(reply.progress as never);
        return;
      case 'piece':
        this.#pending.get(reply.call)?.onPiece?.(reply.piece);
        return;
      case 'done':
        this.#settle(reply.call)?.resolve(reply.value as never);
        return;
      case 'failed':
        this.#settle(reply.call)?.reject(fromErrorData(reply.error));
        return;
      case 'crashed':
        this.onCrash(reply.message);
        return;
      default:
        assertNever(reply);
    }
  }

  onCrash(message: string): void {
    this.close(new SutraError('worker_crashed', `the engine's thread ended unexpectedly: ${message}`));
  }

  /** Ends the thread and settles everything that waits for it with `error`. Later calls reject with it too. */
  close(error: SutraError): void {
    if (this.#error) return;
    this.#error = error;
    this.#port?.close();
    this.#port = undefined;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) pending.reject(error);
    this.#resolveLost(error);
  }

  /** The same once nobody waits for a call any more. */
  closeWhenIdle(error: SutraError): void {
    if (this.#pending.size === 0) this.close(error);
    else this.#lastWords = error;
  }

  #settle(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (this.#pending.size > 0) return pending;
    this.#port?.setBusy(false);
    if (this.#lastWords) this.close(this.#lastWords);
    return pending;
  }
}

/** Promise.withResolvers, which Safari before 17.4 lacks. */
export function promiseWithResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
