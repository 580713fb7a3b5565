// The reading side of a text under way.
import type { Connection } from './connection.ts';
import { abortError, raise, raiseIfAborted, rethrow } from './errors.ts';
import { checkedPrompt, toWireOptions } from './options.ts';
import type { GenerateReply } from './protocol.ts';
import type { GenerateOptions, GenerateResult, Generation, Prompt, TextPiece } from './types.ts';

export interface GenerationTarget {
  readonly connection: Connection;
  /** Without one the text starts from the zero state. */
  readonly session: number | undefined;
  /** How many pieces the engine may be ahead of the reader. 1: the session's state is what the reader has seen. */
  readonly window: number;
  /** Rejects when the target may not be used (disposed). */
  check(): void;
  onEnd(reply: GenerateReply): void;
}

export class TextGeneration implements Generation {
  readonly #target: GenerationTarget;
  readonly #prompt: Prompt;
  readonly #options: GenerateOptions;
  #started = false;
  #result: GenerateResult | undefined;

  constructor(target: GenerationTarget, prompt: Prompt, options: GenerateOptions) {
    this.#target = target;
    this.#prompt = prompt;
    this.#options = options;
  }

  get result(): GenerateResult | undefined {
    return this.#result;
  }

  [Symbol.asyncIterator](): AsyncGenerator<TextPiece, void> {
    return this.#read(this.#options.signal);
  }

  async text(): Promise<string> {
    let text = '';
    for await (const piece of this) text += piece.text;
    return text;
  }

  toReadableStream(): ReadableStream<string> {
    const controller = new AbortController();
    const { signal } = this.#options;
    const pieces = this.#read(signal ? AbortSignal.any([signal, controller.signal]) : controller.signal);
    return new ReadableStream<string>({
      async pull(stream) {
        const { done, value } = await pieces.next();
        if (done) stream.close();
        else stream.enqueue(value.text);
      },
      async cancel() {
        controller.abort();
        await pieces.return();
      },
    });
  }

  async *#read(signal: AbortSignal | undefined): AsyncGenerator<TextPiece, void> {
    if (this.#started) raise('invalid_argument', 'a generation can be read only once; call generate() again');
    this.#started = true;
    const { connection, session, window } = this.#target;
    this.#target.check();
    const request = { session, prompt: checkedPrompt(this.#prompt), options: toWireOptions(this.#options), window };
    if (signal?.aborted) this.#finish(undefined, 0);
    raiseIfAborted(signal);

    const arrived: TextPiece[] = [];
    let wake = () => {};
    let reply: GenerateReply | undefined;
    let failure: unknown;
    const startedAt = performance.now();
    let firstTokenMs = 0;
    const onPiece = (piece: TextPiece) => {
      if (firstTokenMs === 0) firstTokenMs = performance.now() - startedAt;
      arrived.push(piece);
      wake();
    };
    const { number, done } = connection.start('generate', request, { signal, onPiece });
    const ended = done.then(
      (value) => {
        reply = value;
        this.#finish(value, firstTokenMs);
        this.#target.onEnd(value);
        wake();
      },
      (error: unknown) => {
        failure = error;
        wake();
      },
    );
    let used = 0;
    try {
      for (;;) {
        while (arrived.length === 0 && !reply && failure === undefined)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        const piece = arrived.shift();
        if (piece) {
          yield piece;
          connection.pull(number, ++used);
        } else if (failure !== undefined) {
          return rethrow(failure);
        } else {
          // Ended without being asked to here: the session was disposed under way.
          if (reply?.stopReason === 'aborted' && !signal?.aborted) this.#target.check();
          if (reply?.stopReason === 'aborted') rethrow(abortError());
          return;
        }
      }
    } finally {
      // Left early: the engine stops, and the session is free again when this returns.
      connection.cancel(number);
      await ended;
    }
  }

  #finish(reply: GenerateReply | undefined, firstTokenMs: number): void {
    const { stopReason = 'aborted', promptTokens = 0, generatedTokens = 0 } = reply ?? {};
    const { prefillTokensPerS = 0, decodeTokensPerS = 0 } = reply ?? {};
    this.#result = {
      stopReason,
      usage: { promptTokens, generatedTokens },
      timings: { firstTokenMs, prefillTokensPerS, decodeTokensPerS },
    };
  }
}
