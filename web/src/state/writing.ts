// The model at work: continuing the text, trying again, branching. One stretch of writing at a time.
import { computed, effect, signal } from '@preact/signals';
import type { GenerateResult, Generation, TextPiece } from 'sutra-web';
import { announceEnd, announceWriting } from './announce';
import { loading, measureMemory, type Ready, ready } from './engine';
import { remember, sessionAfter, tidyMemories } from './memory';
import { isAbort, isCode, problem, report } from './problem';
import { freshSeed, type Settings, settings } from './settings';
import {
  activeVersion,
  amend,
  breakAfter,
  commit,
  type Ending,
  joined,
  newId,
  type Passage,
  type Run,
  type Story,
  story,
  textOf,
  undo,
  type Version,
  withBranch,
  withPassages,
} from './story';

/** What is going on right now. */
export interface Writing {
  readonly version: string;
  /** Share of the earlier text that has been read, while that takes noticeable time. */
  readonly read: number;
  readonly tokens: number;
  readonly tokensPerS: number;
  readonly stop: () => void;
}

export const writing = signal<Writing | null>(null);
/** Recent speed, a value every 100 ms, oldest first. */
export const speeds = signal<readonly number[]>([]);
/** The person asked for text before the model was there. */
export const wanted = signal(false);

/** How the latest stretch of the active version came to be. */
export const lastRun = computed<Run | undefined>(() => activeVersion.value.passages.at(-1)?.run);
/** Speed of whatever was written last, in any version. */
export const lastSpeed = signal(0);

const SAMPLE_MS = 100;
const SAMPLES = 96;

effect(() => {
  if (!wanted.value || !ready.value) return;
  wanted.value = false;
  void write();
});
effect(() => {
  // Nothing is coming any more: the wish is not kept for a model that is loaded much later.
  if (wanted.value && !loading.value && !ready.value) wanted.value = false;
});

/** Adds the draft to the active version and lets the model continue; with an empty draft it just continues. */
export async function write(): Promise<void> {
  if (writing.value) return;
  if (!ready.value) {
    wanted.value = loading.value !== null;
    return;
  }
  const version = activeVersion.value;
  const text = joined(version.passages.at(-1), story.value.draft);
  const mine: Passage[] = text === '' ? [] : [{ id: newId(), author: 'person', text }];
  const next = withPassages(story.value, version.id, [...version.passages, ...mine]);
  await go({ ...next, draft: '' }, settings.value.seed ?? freshSeed());
}

/** Writes the passage at `index` anew, in its place. Undo brings the old one back. */
export const tryAgain = (version: Version, index: number): Promise<void> =>
  go({ ...withPassages(story.value, version.id, version.passages.slice(0, index)), active: version.id }, freshSeed());

/** Writes another continuation from before the passage at `index`, beside the old one. */
export const branchFrom = (version: Version, index: number): Promise<void> =>
  go(withBranch({ ...story.value, active: version.id }, version.passages.slice(0, index)), freshSeed());

/** Goes on after the passage at `index`; what stood behind it stays beside. */
export function continueFrom(version: Version, index: number): Promise<void> {
  const isLast = index === version.passages.length - 1;
  const here = { ...story.value, active: version.id };
  return go(isLast ? here : withBranch(here, version.passages.slice(0, index + 1)), settings.value.seed ?? freshSeed());
}

/** Takes the person's passage at `index` back into the draft, without what came of it. */
export function rewrite(version: Version, index: number): void {
  if (writing.value) return;
  const next = withPassages(story.value, version.id, version.passages.slice(0, index));
  commit({ ...next, active: version.id, draft: (version.passages[index]?.text ?? '').trimStart() });
}

/** Where the latest stretch of writing of a version begins; -1 when the model wrote nothing last. */
export function startOfLastGo(version: Version): number {
  const last = version.passages.at(-1);
  return last?.author === 'model' ? version.passages.findIndex((passage) => passage.go === last.go) : -1;
}

export const stop = (): void => writing.value?.stop();

async function go(next: Story, seed: number): Promise<void> {
  const present = ready.value;
  if (writing.value || !present) return;
  const controller = new AbortController();
  const options = settings.value;
  const started = performance.now();
  commit(next);
  problem.value = null;
  speeds.value = [];
  const base = activeVersion.value.passages;
  const pen = new Pen(story.value.active, base, present.choice.key);
  writing.value = { version: pen.version, read: 1, tokens: 0, tokensPerS: 0, stop: () => controller.abort() };
  const meter = setInterval(() => pen.measure(), SAMPLE_MS);
  let ending: Ending = 'failed';
  try {
    const session = await sessionAfter(present.model, present.choice.key, base, {
      signal: controller.signal,
      onProgress: (read, total) => amendWriting({ read: total === 0 ? 1 : read / total }),
    });
    try {
      const generation = session.generate(undefined, generateOptions(options, seed, controller.signal));
      ending = await consume(generation, pen);
      await keepMemory(() => session.saveState(), generation.result, pen, present);
      pen.finish(runOf(present, options, seed, pen, started, generation.result, ending));
    } finally {
      await session.dispose().catch(() => undefined);
    }
  } catch (error) {
    if (isAbort(error)) ending = 'stopped';
    else if (!isCode(error, 'worker_crashed')) report('The model could not go on', error);
    pen.finish(runOf(present, options, seed, pen, started, undefined, ending));
  } finally {
    clearInterval(meter);
    writing.value = null;
  }
  // Nothing was written: everything is left as it was, the draft included.
  if (pen.tokens === 0) undo();
  announceEnd(sayEnding(ending));
  await measureMemory();
  void tidyMemories(story.value);
}

const generateOptions = (from: Settings, seed: number, signal: AbortSignal) => ({
  maxTokens: from.maxTokens,
  temperature: from.temperature,
  topP: from.topP,
  repetitionPenalty: from.repetitionPenalty,
  seed,
  signal,
});

async function consume(generation: Generation, pen: Pen): Promise<Ending> {
  try {
    for await (const piece of generation) pen.take(piece);
  } catch (error) {
    if (isAbort(error)) return 'stopped';
    throw error;
  }
  return generation.result?.stopReason === 'eos' ? 'eos' : 'length';
}

/** The memory is kept only if it is of exactly the text that stands there: a stop may leave tokens on their way. */
async function keepMemory(
  save: () => Promise<Uint8Array>,
  result: GenerateResult | undefined,
  pen: Pen,
  present: Ready,
) {
  const last = pen.last;
  if (!last || result?.usage.generatedTokens !== pen.tokens) return;
  remember(last, present.choice.key, await save());
}

function runOf(
  present: Ready,
  from: Settings,
  seed: number,
  pen: Pen,
  started: number,
  result: GenerateResult | undefined,
  ending: Ending,
): Run {
  const tokensPerS = result?.timings.decodeTokensPerS || pen.tokensPerS;
  lastSpeed.value = tokensPerS || lastSpeed.value;
  return {
    model: present.choice.name,
    seed,
    temperature: from.temperature,
    topP: from.topP,
    tokens: pen.tokens,
    firstTokenMs: pen.firstAt === 0 ? 0 : pen.firstAt - started,
    tokensPerS,
    ending,
  };
}

const amendWriting = (values: Partial<Writing>): void => {
  if (writing.value) writing.value = { ...writing.value, ...values };
};

/** How an ending is said in plain words. */
export function sayEnding(ending: Ending): string {
  switch (ending) {
    case 'length':
      return 'Reached the set length';
    case 'eos':
      return 'Ended by the model';
    case 'stopped':
      return 'Stopped by you';
    case 'failed':
      return 'Stopped by an error';
  }
}

/** Puts tokens into the text: a paragraph is a passage, and the screen is told at most once a frame. */
class Pen {
  readonly version: string;
  tokens = 0;
  firstAt = 0;
  private readonly base: readonly Passage[];
  private readonly model: string;
  private readonly goId = newId();
  private passages: { id: string; text: string; ids: number[] }[] = [];
  private spoken = '';
  private frame = 0;
  private sampleTokens = 0;
  private sampleAt = 0;

  constructor(version: string, base: readonly Passage[], model: string) {
    this.version = version;
    this.base = base;
    this.model = model;
  }

  get last(): string | undefined {
    return this.passages.at(-1)?.id;
  }

  get tokensPerS(): number {
    return this.tokens < 2 ? 0 : ((this.tokens - 1) * 1000) / Math.max(1, performance.now() - this.firstAt);
  }

  take(piece: TextPiece): void {
    if (this.tokens === 0) this.firstAt = this.sampleAt = performance.now();
    const current = this.passages.at(-1);
    const beginsParagraph = !current || (/\n\s*\n\s*$/.test(current.text) && /\S/.test(piece.text));
    const start = current ? '' : breakAfter(this.base.at(-1));
    const target = beginsParagraph ? { id: newId(), text: start, ids: [] } : current;
    if (beginsParagraph) this.passages.push(target);
    target.text += piece.text;
    // Text that was held back until the end was certain comes without a token of its own.
    if (piece.id >= 0) {
      target.ids.push(piece.id);
      this.tokens++;
    }
    this.spoken += piece.text;
    this.frame ||= requestAnimationFrame(() => this.show());
  }

  measure(): void {
    const now = performance.now();
    if (this.tokens === 0 || now - this.sampleAt < SAMPLE_MS / 2) return;
    const speed = ((this.tokens - this.sampleTokens) * 1000) / (now - this.sampleAt);
    this.sampleTokens = this.tokens;
    this.sampleAt = now;
    speeds.value = [...speeds.value, speed].slice(-SAMPLES);
    amendWriting({ tokensPerS: this.tokensPerS });
  }

  private show(run?: Run): void {
    this.frame = 0;
    const written = this.passages.map((passage, index): Passage => {
      const isLast = index === this.passages.length - 1;
      const known = { ...passage, ids: [...passage.ids], author: 'model' as const, model: this.model, go: this.goId };
      return isLast && run ? { ...known, run } : known;
    });
    amend(withPassages(story.value, this.version, [...this.base, ...written]));
    amendWriting({ tokens: this.tokens });
    announceWriting(this.spoken);
    this.spoken = '';
  }

  finish(run: Run): void {
    cancelAnimationFrame(this.frame);
    if (this.tokens > 0) this.show(run);
  }
}

/** What the model wrote since the text was empty, for the status line. */
export const wordsOf = (version: Version): number => textOf(version).split(/\s+/).filter(Boolean).length;
