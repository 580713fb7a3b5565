// The workshop in the worker's thread: its module's functions (bindings/wasm/workshop.cpp), and converting with them.
import { raise, raiseIfAborted } from './errors.ts';
import { choose, examine } from './features.ts';
import { configHint, openTokenizer, openWeights } from './folder.ts';
import { type Context, settleAll, withHint, withoutStaleCache } from './load.ts';
import { type Address, concatenate, ModuleHeap, type SharedModule } from './module_heap.ts';
import { yieldToEventLoop } from './platform.ts';
import type { ConvertRequest } from './protocol.ts';
import { instantiateModule } from './start.ts';
import type { Conversion, LoadProgress } from './types.ts';

export interface WorkshopModule extends SharedModule {
  _sutra_weights_begin(): Address;
  _sutra_convert_companion(nameBytes: number, inputBytes: number, isTokenizer: number): Address;
  _sutra_convert_begin(isGguf: number, dtype: number): Address;
  _sutra_convert_next(): Address;
  _sutra_convert_file(index: number): Address;
}

/** In the order of workshop.cpp. */
const dtypes: readonly ConvertRequest['dtype'][] = ['f32', 'f16', 'q8_0', 'q4_0'];

export class WorkshopHeap extends ModuleHeap<WorkshopModule> {
  weightsBegin(): void {
    this.call((m) => m._sutra_weights_begin());
  }

  convertCompanion(name: string, text: Uint8Array, isTokenizer: boolean): void {
    const nameBytes = new TextEncoder().encode(name);
    const input = concatenate([nameBytes, text]);
    this.write(input);
    this.call((m) => m._sutra_convert_companion(nameBytes.length, input.length, Number(isTokenizer)));
  }

  /** `head`: the weights' file up to its first tensor. */
  convertBegin({ format, dtype }: ConvertRequest): {
    report: Conversion['report'];
    filesBeside: number;
    head: ArrayBuffer;
  } {
    const isGguf = Number(format === 'gguf');
    const { text, values, data } = this.call((m) => m._sutra_convert_begin(isGguf, dtypes.indexOf(dtype)));
    const report = { architecture: text, tensors: values[0]!, bytes: values[1]!, tokenizer: values[2] === 1 };
    return { report, filesBeside: values[3]!, head: data };
  }

  /** The next tensor. */
  convertNext(): ArrayBuffer {
    return this.call((m) => m._sutra_convert_next()).data;
  }

  convertFile(index: number): { name: string; data: ArrayBuffer } {
    const { text, data } = this.call((m) => m._sutra_convert_file(index));
    return { name: text, data };
  }
}

export async function startWorkshop(): Promise<WorkshopHeap> {
  const { candidates, why } = choose(await examine(false), { artefact: 'simd128' });
  if (candidates.length === 0) raise('unsupported', why);
  const url = new URL('./sutra-workshop.wasm', import.meta.url);
  return new WorkshopHeap(await instantiateModule(url, import('./sutra-workshop.mjs'), 0));
}

/** What goes along with a tokenizer, where the result is a folder and they are there. */
const companionNames = ['tokenizer_config.json', 'generation_config.json'] as const;
/** Of the progress; the rest is writing. */
const readingShare = 0.5;

export async function convertModel(
  workshop: Promise<WorkshopHeap>,
  context: Context<ConvertRequest>,
): Promise<Conversion> {
  const { request, signal, report } = context;
  const reading = (progress: LoadProgress) => report({ ...progress, fraction: readingShare * progress.fraction });
  return withoutStaleCache({ ...context, report: reading }, async (loading) => {
    const { folder } = loading;
    const takesCompanions = request.tokenizer && request.format === 'safetensors';
    const [heap, config, tokenizer, weights, ...companions] = await settleAll([
      workshop,
      folder.open('config.json'),
      request.tokenizer ? openTokenizer(folder) : undefined,
      openWeights(folder),
      ...companionNames.map((name) => (takesCompanions ? folder.open(name).catch(() => undefined) : undefined)),
    ] as const);
    loading.expect([config, tokenizer, weights.first, ...companions], weights.names);
    heap.weightsBegin();
    await loading.feedConfig(heap, config, request.overrides);
    if (tokenizer) heap.convertCompanion(tokenizer.name, await loading.readSmall(heap, tokenizer), true);
    for (const file of companions)
      if (file) heap.convertCompanion(file.name, await loading.readSmall(heap, file), false);
    await loading.feedWeights(heap, weights);
    raiseIfAborted(signal);
    return write(heap, config !== undefined, context);
  });
}

/** Every tensor becomes a blob at once: browsers keep those outside of the worker's memory. */
async function write(heap: WorkshopHeap, hasConfig: boolean, context: Context<ConvertRequest>): Promise<Conversion> {
  const { request, signal, report: tell } = context;
  const begun = withHint(hasConfig ? undefined : configHint, () => heap.convertBegin(request));
  const { report, filesBeside, head } = begun;
  const name = request.format === 'gguf' ? 'model.gguf' : 'model.safetensors';
  const parts = [new Blob([head])];
  let written = head.byteLength;
  for (let tensor = 0; tensor < report.tensors; tensor++) {
    await yieldToEventLoop();
    raiseIfAborted(signal);
    const data = heap.convertNext();
    written += data.byteLength;
    parts.push(new Blob([data]));
    const fraction = readingShare + ((1 - readingShare) * written) / report.bytes;
    tell({ phase: 'write', file: name, loaded: written, total: report.bytes, fraction });
  }
  const files = { [name]: new Blob(parts) };
  for (let index = 0; index < filesBeside; index++) {
    const { name: beside, data } = heap.convertFile(index);
    files[beside] = new Blob([data]);
  }
  tell({ phase: 'ready', loaded: written, total: written, fraction: 1 });
  return { report, files };
}
