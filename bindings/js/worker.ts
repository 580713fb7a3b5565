// The engine's thread: takes commands, runs them in slices of a token or a chunk, and answers each exactly once.
// Loaded as a worker it listens at once; createHost serves the caller that wants everything in its own thread.

import { EngineCrash, raise, raiseIfAborted, rethrow, toErrorData } from './errors.ts';
import type { Heap } from './heap.ts';
import { type Context, loadModel, loadTokenizer } from './load.ts';
import { nodeModule, workerName, yieldToEventLoop } from './platform.ts';
import type {
  CallCommand,
  CallKind,
  Calls,
  Command,
  EngineRequest,
  GenerateReply,
  ReadRequest,
  Reply,
  SessionReply,
  WireGenerateOptions,
} from './protocol.ts';
import { type RunningEngine, startEngine } from './start.ts';
import type { LoadProgress, Prompt } from './types.ts';

/** An error is reported by whoever waits for the module, unless something else fails first. */
function quietly<T>(module: Promise<T>): Promise<T> {
  module.catch(() => {});
  return module;
}

export interface Host {
  receive(command: Command): void;
  /** Ends all work; what is under way is not answered any more. */
  stop(): void;
}

/** One call under way. */
class Job {
  readonly call: number;
  readonly #controller = new AbortController();
  /** Pieces that the reader has used. */
  pulled = 0;
  #wake: (() => void) | undefined;

  constructor(call: number) {
    this.call = call;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancel(): void {
    this.#controller.abort();
    this.#wake?.();
  }

  pull(count: number): void {
    this.pulled = Math.max(this.pulled, count);
    this.#wake?.();
  }

  /** Waits for the next pull or for cancel. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

const promptOnly: WireGenerateOptions = {
  maxTokens: 0,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
  logprobs: false,
  stop: [],
};

export function createHost(
  post: (reply: Reply) => void,
  start: (request: EngineRequest) => Promise<RunningEngine> = startEngine,
): Host {
  const jobs = new Map<number, Job>();
  /** Sessions that a job works on; the others may be used or removed. */
  const busy = new Map<number, Job>();
  let running: RunningEngine | undefined;
  let stopped = false;

  function heap(): Heap {
    return running?.heap ?? raise('internal', 'the engine was used before it was loaded');
  }

  function begin(request: EngineRequest): Promise<RunningEngine> {
    return quietly(
      start(request).then((started) => {
        running = started;
        return started;
      }),
    );
  }

  /** Runs `work` with the session reserved. */
  async function onSession<T>(session: number, job: Job, work: () => Promise<T> | T): Promise<T> {
    if (busy.has(session))
      raise('invalid_argument', 'the session is busy with another call', {
        hint: 'Wait for the other call to end, or work on a clone().',
      });
    busy.set(session, job);
    try {
      return await work();
    } finally {
      busy.delete(session);
    }
  }

  /** Runs `work` on a session from the zero state that is thrown away afterwards. */
  async function onFreshSession<T>(work: (session: number) => Promise<T>): Promise<T> {
    const { session } = heap().sessionCreate();
    try {
      return await work(session);
    } finally {
      heap().sessionRemove(session);
    }
  }

  /** Reads the prompt in slices. Reading nothing is nothing, and not a begin-of-text token. */
  async function read(session: number, prompt: Prompt, job: Job): Promise<void> {
    if (prompt.length > 0) await write(session, prompt, promptOnly, 1, job).then(() => raiseIfAborted(job.signal));
  }

  async function write(
    session: number,
    prompt: Prompt,
    options: WireGenerateOptions,
    window: number,
    job: Job,
  ): Promise<GenerateReply> {
    const { generation, promptTokens } = heap().generationCreate(session, prompt, options);
    const startedAt = performance.now();
    let firstAt = 0;
    let lastAt = 0;
    let prefilledAt = startedAt;
    let generatedTokens = 0;
    let posted = 0;
    let stopReason: GenerateReply['stopReason'] = 'aborted';
    try {
      while (stopReason === 'aborted' && !job.signal.aborted) {
        const step = heap().generationStep(generation);
        const now = performance.now();
        generatedTokens = step.generatedTokens;
        if (step.kind === 'prefill') prefilledAt = now;
        if (step.kind === 'token') lastAt = now;
        if (firstAt === 0) firstAt = lastAt;
        if (step.kind === 'token' || step.text !== '') {
          const { text, id, logprob } = step;
          const piece = logprob === undefined ? { text, id } : { text, id, logprob };
          send({ kind: 'piece', call: job.call, piece });
          posted++;
          // While the piece travels. What the reader has seen is then in the session, whether it goes on or not.
          heap().generationConsume(generation);
        }
        if (step.kind === 'done') stopReason = step.stopReason ?? 'length';
        else if (posted - job.pulled < window) await yieldToEventLoop();
        while (posted - job.pulled >= window && !job.signal.aborted && stopReason === 'aborted') await job.changed();
      }
    } finally {
      heap().generationRemove(generation);
    }
    const perSecond = (count: number, ms: number) => (count > 0 && ms > 0 ? (1000 * count) / ms : 0);
    return {
      stopReason,
      promptTokens,
      generatedTokens,
      prefillTokensPerS: perSecond(promptTokens, prefilledAt - startedAt),
      decodeTokensPerS: perSecond(generatedTokens - 1, lastAt - firstAt),
      position: heap().sessionPlace(session).position,
    };
  }

  async function reread(session: number, prompt: string, job: Job): Promise<SessionReply> {
    await read(session, prompt, job);
    return heap().sessionPlace(session);
  }

  const handlers: { [K in CallKind]: (request: Calls[K][0], job: Job) => Calls[K][1] | Promise<Calls[K][1]> } = {
    async load(request, job) {
      const engine = begin(request);
      const { info, tokenizerVocabulary } = await loadModel(engine, context(request, job));
      return { info, tokenizerVocabulary, runtime: (await engine).runtime };
    },
    async loadTokenizer(request, job) {
      return { vocabularySize: await loadTokenizer(begin(request), context(request, job)) };
    },
    async convert(request, job) {
      const { convertModel, startConverter } = await import('./making.ts');
      return convertModel(quietly(startConverter()), context(request, job));
    },
    async quantize(request, job) {
      const { quantizeModel, startQuantizer } = await import('./making.ts');
      return quantizeModel(quietly(startQuantizer(request)), context(request, job));
    },
    async createSession({ prompt }, job) {
      const { session } = heap().sessionCreate();
      try {
        return await onSession(session, job, () => reread(session, prompt, job));
      } catch (error) {
        heap().sessionRemove(session);
        return rethrow(error);
      }
    },
    append({ session, prompt }, job) {
      return onSession(session, job, async () => {
        await read(session, prompt, job);
        return heap().sessionPlace(session);
      });
    },
    generate({ session, prompt, options, window }, job) {
      if (session === undefined) return onFreshSession((fresh) => write(fresh, prompt, options, window, job));
      return onSession(session, job, () => write(session, prompt, options, window, job));
    },
    clone({ session }, job) {
      return onSession(session, job, () => heap().sessionClone(session));
    },
    save({ session }, job) {
      return onSession(session, job, () => heap().sessionSave(session));
    },
    restore({ session, states }, job) {
      return onSession(session, job, () => restoreMean(heap(), session, states));
    },
    reset({ session, prompt }, job) {
      return onSession(session, job, () => {
        heap().sessionReset(session);
        return reread(session, prompt, job);
      });
    },
    async disposeSession({ session }) {
      const user = busy.get(session);
      user?.cancel();
      while (busy.has(session)) await yieldToEventLoop();
      heap().sessionRemove(session);
      return undefined;
    },
    logits({ ids }, job) {
      return onFreshSession(async (session) => {
        await read(session, ids, job);
        return heap().sessionLogits(session);
      });
    },
    async perplexity({ text, context, carryState }, job) {
      const ids = typeof text === 'string' ? heap().encode(text, false) : text;
      const total = ids.length - 1;
      const evaluation = heap().perplexityCreate(ids, context, carryState);
      try {
        for (;;) {
          const { more, tokens, nll } = heap().perplexityStep(evaluation);
          const perplexity = Math.exp(nll);
          const progress = { tokens, total, fraction: tokens / total, perplexity };
          send({ kind: 'progress', call: job.call, progress });
          await yieldToEventLoop();
          raiseIfAborted(job.signal);
          if (!more) return { perplexity, nll, tokens, bitsPerByte: bitsPerByte(text, nll * tokens) };
        }
      } finally {
        heap().perplexityRemove(evaluation);
      }
    },
    async encode({ texts, options }, job) {
      const all: Int32Array[] = [];
      for (const text of texts) {
        raiseIfAborted(job.signal);
        all.push(heap().encode(text, options.special === true));
        await yieldToEventLoop();
      }
      return all;
    },
    decode: ({ ids }) => heap().decode(ids),
    createDecoder: () => heap().decoderCreate(),
    stepDecoder: ({ decoder, id }) => heap().decoderStep(decoder, id),
    disposeDecoder({ decoder }) {
      heap().decoderRemove(decoder);
      return undefined;
    },
    memory: () => heap().memory(),
  };

  function context<Request extends ReadRequest>(request: Request, job: Job): Context<Request> {
    const report = (progress: LoadProgress) => send({ kind: 'progress', call: job.call, progress });
    return { request, signal: job.signal, report };
  }

  function send(reply: Reply): void {
    if (!stopped) post(reply);
  }

  async function run(command: CallCommand): Promise<void> {
    const { call } = command;
    const job = new Job(call);
    jobs.set(call, job);
    try {
      const handler = handlers[command.kind] as (request: unknown, job: Job) => Promise<Calls[CallKind][1]>;
      send({ kind: 'done', call, value: await handler(command.request, job) });
    } catch (error) {
      if (error instanceof EngineCrash) {
        send({ kind: 'crashed', message: error.message });
        stop();
      } else {
        send({ kind: 'failed', call, error: toErrorData(error) });
      }
    } finally {
      jobs.delete(call);
      job.cancel(); // downloads that are still open
    }
  }

  function stop(): void {
    stopped = true;
    for (const job of jobs.values()) job.cancel();
  }

  return {
    receive(command) {
      if (stopped) return;
      switch (command.kind) {
        case 'cancel':
          jobs.get(command.call)?.cancel();
          return;
        case 'pull':
          jobs.get(command.call)?.pull(command.count);
          return;
        default:
          void run(command);
      }
    },
    stop,
  };
}

/** The session gets the state, or of several their mean; after an error it has its old one. */
function restoreMean(heap: Heap, session: number, states: readonly Uint8Array[]): SessionReply {
  if (states.length === 1) return heap.sessionLoad(session, states[0]!);
  const loaded: number[] = [];
  try {
    for (const state of states) {
      loaded.push(heap.sessionCreate().session);
      heap.sessionLoad(loaded.at(-1)!, state);
    }
    return heap.sessionMean(session, loaded);
  } finally {
    for (const number of loaded) heap.sessionRemove(number);
  }
}

function bitsPerByte(text: Prompt, nllSum: number): number | undefined {
  if (typeof text !== 'string') return undefined;
  return nllSum / Math.LN2 / new TextEncoder().encode(text).length;
}

function listen(): void {
  const threads = nodeModule('node:worker_threads');
  if (threads?.workerData === workerName && threads.parentPort) {
    const port = threads.parentPort;
    const host = createHost((reply) => port.postMessage(reply));
    port.on('message', (command) => host.receive(command));
  } else if ('WorkerGlobalScope' in globalThis && (globalThis as { name?: string }).name === workerName) {
    const scope = globalThis as unknown as Worker;
    const host = createHost((reply) => scope.postMessage(reply));
    scope.onmessage = ({ data }) => host.receive(data);
  }
}

listen();
