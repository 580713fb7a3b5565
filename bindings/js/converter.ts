// Converting in the worker's thread: its module's functions (bindings/wasm/convert.cpp), and the work with them.
import { raise, raiseIfAborted } from './errors.ts';
import { choose, examine } from './features.ts';
import { configHint } from './folder.ts';
import { type Context, withHint, withoutStaleCache } from './load.ts';
import type { Address } from './module_heap.ts';
import { yieldToEventLoop } from './platform.ts';
import type { ConvertRequest } from './protocol.ts';
import { instantiateModule } from './start.ts';
import type { Conversion, LoadProgress } from './types.ts';
import { feedModel, GrowingFile, WorkshopHeap, type WorkshopModule } from './workshop.ts';

export interface ConverterModule extends WorkshopModule {
  _sutra_convert_begin(isGguf: number, dtype: number): Address;
  _sutra_convert_next(): Address;
  _sutra_convert_file(index: number): Address;
}

/** In the order of convert.cpp. */
const dtypes: readonly ConvertRequest['dtype'][] = ['f32', 'f16', 'q8_0', 'q4_0'];

export class ConverterHeap extends WorkshopHeap<ConverterModule> {
  /** `head`: the weights' file up to its first tensor. */
  convertBegin({ format, dtype }: ConvertRequest): {
    report: Conversion['report'];
    filesBeside: number;
    head: Blob[];
  } {
    const isGguf = Number(format === 'gguf');
    const { text, values } = this.call((m) => m._sutra_convert_begin(isGguf, dtypes.indexOf(dtype)));
    const report = { architecture: text, tensors: values[0]!, bytes: values[1]!, tokenizer: values[2] === 1 };
    return { report, filesBeside: values[3]!, head: this.takeWritten() };
  }

  /** The next tensor. */
  convertNext(): Blob[] {
    this.call((m) => m._sutra_convert_next());
    return this.takeWritten();
  }

  convertFile(index: number): { name: string; data: ArrayBuffer } {
    return this.fileBeside((m) => m._sutra_convert_file(index));
  }
}

export async function startConverter(): Promise<ConverterHeap> {
  const { candidates, why } = choose(await examine(false), { artefact: 'simd128' });
  if (candidates.length === 0) raise('unsupported', why);
  const url = new URL('./sutra-converter.wasm', import.meta.url);
  return new ConverterHeap(await instantiateModule(url, import('./sutra-converter.mjs'), 0));
}

/** Of the progress; the rest is writing. */
const readingShare = 0.5;

export async function convertModel(
  converter: Promise<ConverterHeap>,
  context: Context<ConvertRequest>,
): Promise<Conversion> {
  const { request, report } = context;
  const reading = (progress: LoadProgress) => report({ ...progress, fraction: readingShare * progress.fraction });
  const takesCompanions = request.tokenizer && request.format === 'safetensors';
  const { heap, hasConfig } = await withoutStaleCache({ ...context, report: reading }, (loading) =>
    feedModel(converter, loading, context, { takesCompanions, leavesMatrices: false }),
  );
  return write(heap, hasConfig, context);
}

async function write(heap: ConverterHeap, hasConfig: boolean, context: Context<ConvertRequest>): Promise<Conversion> {
  const { request, signal, report: tell } = context;
  const begun = withHint(hasConfig ? undefined : configHint, () => heap.convertBegin(request));
  const { report, filesBeside, head } = begun;
  const name = request.format === 'gguf' ? 'model.gguf' : 'model.safetensors';
  const file = new GrowingFile(head);
  for (let tensor = 0; tensor < report.tensors; tensor++) {
    await yieldToEventLoop();
    raiseIfAborted(signal);
    file.add(heap.convertNext());
    const fraction = readingShare + ((1 - readingShare) * file.size) / report.bytes;
    tell({ phase: 'write', file: name, loaded: file.size, total: report.bytes, fraction });
  }
  const files = { [name]: file.blob() };
  for (let index = 0; index < filesBeside; index++) {
    const { name: beside, data } = heap.convertFile(index);
    files[beside] = new Blob([data]);
  }
  tell({ phase: 'ready', loaded: file.size, total: file.size, fraction: 1 });
  return { report, files };
}
