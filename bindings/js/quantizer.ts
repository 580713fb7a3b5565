// Quantising in the worker's thread: its module's functions (bindings/wasm/quantize.cpp), and the work with them.
import { raise, raiseIfAborted } from './errors.ts';
import { configHint } from './folder.ts';
import { type Context, withHint, withoutStaleCache } from './load.ts';
import type { Address } from './module_heap.ts';
import { yieldToEventLoop } from './platform.ts';
import type { QuantizeRequest } from './protocol.ts';
import { instantiateModule, startBest } from './start.ts';
import type { LoadProgress, Quantization, QuantizedTensor, QuantizeReport, RuntimeInfo } from './types.ts';
import { feedModel, GrowingFile, WorkshopHeap, type WorkshopModule } from './workshop.ts';

export interface QuantizerModule extends WorkshopModule {
  _sutra_self_test(): Address;
  _sutra_quantize_begin(
    textBytes: number,
    method: number,
    bits: number,
    groupSize: number,
    keepEmbeddings: number,
    sequences: number,
    context: number,
    threads: number,
  ): Address;
  _sutra_quantize_wanted(): Address;
  _sutra_quantize_give(sizeBytes: number): Address;
  _sutra_quantize_step(): Address;
  _sutra_quantize_checkpoint(): Address;
  _sutra_quantize_checkpoint_next(): Address;
  _sutra_quantize_resume(sizeBytes: number, at: number, fileBytes: number): Address;
  _sutra_quantize_report(): Address;
  _sutra_quantize_tensor(index: number): Address;
  _sutra_quantize_file(index: number): Address;
}

/** In the order of quantize.cpp. */
const methods: readonly QuantizeRequest['method'][] = ['awq', 'rtn', 'gptq'];

export class QuantizerHeap extends WorkshopHeap<QuantizerModule> {
  selfTest(): void {
    this.call((m) => m._sutra_self_test());
  }

  /** `head`: the weights' file up to its first tensor. */
  quantizeBegin(
    { method, bits, groupSize, keepEmbeddings, sequences, context }: QuantizeRequest,
    text: Uint8Array,
    threads: number,
  ): { architecture: string; filesBeside: number; head: Blob[] } {
    this.write(text);
    const number = methods.indexOf(method);
    const answer = this.call((m) =>
      m._sutra_quantize_begin(
        text.length,
        number,
        bits,
        groupSize,
        Number(keepEmbeddings),
        sequences,
        context,
        threads,
      ),
    );
    return { architecture: answer.text, filesBeside: answer.values[0]!, head: this.takeWritten() };
  }

  /** Before the next step: bytes of one of the files with the weights; undefined when there are none to give. */
  quantizeWanted(): { file: number; offset: number; size: number } | undefined {
    const { values } = this.call((m) => m._sutra_quantize_wanted());
    return values[2] === 0 ? undefined : { file: values[0]!, offset: values[1]!, size: values[2]! };
  }

  /** All of them. */
  quantizeGive(bytes: Uint8Array): void {
    this.write(bytes);
    this.call((m) => m._sutra_quantize_give(bytes.length));
  }

  /** `ready`: what of the weights' file is. */
  quantizeStep(): { more: boolean; fraction: number; stage: string; ready: Blob[] } {
    const { values, text } = this.call((m) => m._sutra_quantize_step());
    return { more: values[0] === 1, fraction: values[1]!, stage: text, ready: this.takeWritten() };
  }

  /** A checkpoint's pieces; none where a layer is under way. */
  quantizeCheckpoint(): Blob[] {
    let more = this.call((m) => m._sutra_quantize_checkpoint()).values[0] === 1;
    while (more) more = this.call((m) => m._sutra_quantize_checkpoint_next()).values[0] === 1;
    return this.takeWritten();
  }

  /** After the last piece: bytes of the weights' file before what comes next. */
  quantizeResume(piece: Uint8Array, at: number, total: number): number {
    this.write(piece);
    return this.call((m) => m._sutra_quantize_resume(piece.length, at, total)).values[0]!;
  }

  quantizeReport(): Omit<QuantizeReport, 'architecture'> {
    const { values } = this.call((m) => m._sutra_quantize_report());
    const tensors = Array.from({ length: values[0]! }, (_, index) => this.#tensor(index));
    return {
      bytesBefore: values[1]!,
      bytesAfter: values[2]!,
      compression: values[3]!,
      calibrationTokens: values[4]!,
      tensors,
    };
  }

  quantizeFile(index: number): { name: string; data: ArrayBuffer } {
    return this.fileBeside((m) => m._sutra_quantize_file(index));
  }

  #tensor(index: number): QuantizedTensor {
    const { text, values } = this.call((m) => m._sutra_quantize_tensor(index));
    const [name, keptBecause] = text.split('\n') as [string, string];
    const [bytesBefore, bytesAfter, bits] = values as unknown as [number, number, number];
    const size = { name, bytesBefore, bytesAfter, bits };
    if (keptBecause !== '') return { ...size, keptBecause };
    const errors = { groupSize: values[3]!, outputErrorRtn: values[4]!, outputError: values[5]!, cut: values[8]! };
    const scale = Number.isNaN(values[6]) ? {} : { scaleExponent: values[6]!, duoScaling: values[7] === 1 };
    return { ...size, ...errors, ...scale };
  }
}

export interface RunningQuantizer {
  readonly heap: QuantizerHeap;
  readonly runtime: RuntimeInfo;
}

/** Written out one by one, as in start.ts. */
export function startQuantizer(request: QuantizeRequest): Promise<RunningQuantizer> {
  return startBest(request, async ({ artefact, threads }) => {
    const isRelaxed = artefact === 'relaxed';
    const glue = threads > 1 ? import('./sutra-quantizer-mt.mjs') : import('./sutra-quantizer-st.mjs');
    const withThreads = isRelaxed
      ? new URL('./sutra-quantizer-relaxed-mt.wasm', import.meta.url)
      : new URL('./sutra-quantizer-simd128-mt.wasm', import.meta.url);
    const without = isRelaxed
      ? new URL('./sutra-quantizer-relaxed-st.wasm', import.meta.url)
      : new URL('./sutra-quantizer-simd128-st.wasm', import.meta.url);
    return new QuantizerHeap(await instantiateModule(threads > 1 ? withThreads : without, glue, threads - 1));
  });
}

/** Of the progress; the rest is quantising. */
const readingShare = 0.05;
const weightsName = 'model.safetensors';

/**
 * A checkpoint: the sizes of two parts as float64, least significant byte first, then the parts: the quantizer's own (of
 * runtime/quantizer_checkpoint.cpp) and the weights' file so far.
 */
const checkpointHead = 16;

function checkpointOf(heap: QuantizerHeap, file: GrowingFile): Blob | undefined {
  const state = heap.quantizeCheckpoint();
  if (state.length === 0) return undefined;
  const sizes = new DataView(new ArrayBuffer(checkpointHead));
  sizes.setFloat64(0, new Blob(state).size, true);
  sizes.setFloat64(8, file.size, true);
  return new Blob([sizes, ...state, file.blob()]);
}

const pieceBytes = 4 << 20;

interface OpenCheckpoint {
  readonly state: Blob;
  /** The weights' file so far. */
  readonly file: Blob;
}

async function openCheckpoint(checkpoint: Blob): Promise<OpenCheckpoint> {
  const sizes = new DataView(await checkpoint.slice(0, checkpointHead).arrayBuffer());
  if (sizes.byteLength < checkpointHead) raise('truncated', `the checkpoint has ${checkpoint.size} bytes`);
  const [state, file] = [sizes.getFloat64(0, true), sizes.getFloat64(8, true)];
  const areSizes = [state, file].every((size) => Number.isSafeInteger(size) && size > 0);
  if (!areSizes || checkpointHead + state + file !== checkpoint.size) raiseBroken(checkpoint);
  const fileAt = checkpointHead + state;
  return { state: checkpoint.slice(checkpointHead, fileAt), file: checkpoint.slice(fileAt) };
}

function raiseBroken({ size }: Blob): never {
  return raise('malformed', `the checkpoint of ${size} bytes is not whole, or is something else`);
}

async function giveWanted(
  heap: QuantizerHeap,
  files: readonly (Blob | undefined)[],
  signal: AbortSignal,
): Promise<void> {
  for (let wanted = heap.quantizeWanted(); wanted; wanted = heap.quantizeWanted()) {
    raiseIfAborted(signal);
    const { file, offset, size } = wanted;
    const bytes = await files[file]!.slice(offset, offset + size)
      .arrayBuffer()
      .catch((error) => raise('io', 'the weights cannot be read any more', { cause: error }));
    heap.quantizeGive(new Uint8Array(bytes));
  }
}

async function resume(heap: QuantizerHeap, { state, file }: OpenCheckpoint): Promise<void> {
  let expected = 0;
  for (let at = 0; at < state.size; at += pieceBytes) {
    const piece = await state.slice(at, at + pieceBytes).arrayBuffer();
    expected = heap.quantizeResume(new Uint8Array(piece), at, state.size);
  }
  if (expected !== file.size) raiseBroken(file);
}

export async function quantizeModel(
  quantizer: Promise<RunningQuantizer>,
  context: Context<QuantizeRequest>,
): Promise<Omit<Quantization, 'toBlob'>> {
  const { request, report } = context;
  const reading = (progress: LoadProgress) => report({ ...progress, fraction: readingShare * progress.fraction });
  const text = new Uint8Array(await request.calibration.arrayBuffer());
  const checkpoint = request.resume && (await openCheckpoint(request.resume));
  const running = quantizer.then(({ heap }) => heap);
  const {
    heap,
    hasConfig,
    files: sources,
  } = await withoutStaleCache({ ...context, report: reading }, (loading) =>
    feedModel(running, loading, context, { takesCompanions: request.tokenizer, leavesMatrices: true }),
  );
  const { threads } = (await quantizer).runtime;
  const begun = withHint(hasConfig ? undefined : configHint, () => heap.quantizeBegin(request, text, threads));
  const { architecture, filesBeside, head } = begun;
  if (checkpoint) await resume(heap, checkpoint);
  const file = new GrowingFile(checkpoint ? [checkpoint.file] : head);
  const startedAt = performance.now();
  let startedWith: number | undefined;
  for (let more = true; more; ) {
    await yieldToEventLoop();
    raiseIfAborted(context.signal);
    await giveWanted(heap, sources, context.signal);
    const step = heap.quantizeStep();
    more = step.more;
    file.add(step.ready);
    const made = request.checkpoints && more ? checkpointOf(heap, file) : undefined;
    const elapsed = (performance.now() - startedAt) / 1000;
    startedWith ??= step.fraction;
    const perFraction = elapsed / (step.fraction - startedWith);
    report({
      phase: 'quantize',
      stage: step.stage,
      ...(step.fraction > startedWith ? { secondsLeft: (1 - step.fraction) * perFraction } : {}),
      ...(made ? { checkpoint: made } : {}),
      file: weightsName,
      loaded: file.size,
      total: 0,
      fraction: readingShare + (1 - readingShare) * step.fraction,
    });
  }
  const files: Record<string, Blob> = { [weightsName]: file.blob() };
  for (let index = 0; index < filesBeside; index++) {
    const { name, data } = heap.quantizeFile(index);
    files[name] = new Blob([data]);
  }
  report({ phase: 'ready', loaded: file.size, total: file.size, fraction: 1 });
  return { report: { architecture, ...heap.quantizeReport() }, files, memory: heap.memory() };
}
