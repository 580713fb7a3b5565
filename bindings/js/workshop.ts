// What work on a model's weights has in common, in the worker's thread: converting, quantising. The functions are those of
// bindings/wasm/workshop.cpp.
import { raiseIfAborted } from './errors.ts';
import { openTokenizer, openWeights } from './folder.ts';
import { type Context, type Loading, settleAll } from './load.ts';
import { type Address, concatenate, ModuleHeap, type SharedModule } from './module_heap.ts';
import type { ReadRequest } from './protocol.ts';

export interface WorkshopModule extends SharedModule {
  /** Called while bytes are written that go into a file; 0 where there was no room for them. */
  written?(address: Address, sizeBytes: number): number;
  _sutra_weights_begin(leavesMatrices: number): Address;
  _sutra_weights_companion(nameBytes: number, inputBytes: number, isTokenizer: number): Address;
}

export class WorkshopHeap<Module extends WorkshopModule> extends ModuleHeap<Module> {
  #written: Blob[] = [];

  constructor(module: Module) {
    super(module);
    module.written = (address, sizeBytes) => {
      try {
        this.#written.push(new Blob([this.copy(address >>> 0, sizeBytes)]));
        return 1;
      } catch {
        return 0;
      }
    };
  }

  /** What was written since the last time; browsers keep blobs outside of the worker's memory. */
  protected takeWritten(): Blob[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }

  /** `leavesMatrices`: large ones stay in their files until the work asks for them. */
  weightsBegin(leavesMatrices: boolean): void {
    this.#written = [];
    this.call((m) => m._sutra_weights_begin(Number(leavesMatrices)));
  }

  weightsCompanion(name: string, text: Uint8Array, isTokenizer: boolean): void {
    const nameBytes = new TextEncoder().encode(name);
    const input = concatenate([nameBytes, text]);
    this.write(input);
    this.call((m) => m._sutra_weights_companion(nameBytes.length, input.length, Number(isTokenizer)));
  }

  /** A file that goes beside the weights: which of them `ask` says. */
  protected fileBeside(ask: (module: Module) => Address): { name: string; data: ArrayBuffer } {
    const { text, data } = this.call(ask);
    return { name: text, data };
  }
}

/** A file that is being written. */
export class GrowingFile {
  readonly #parts: Blob[] = [];
  size = 0;

  constructor(beginning: readonly Blob[]) {
    this.add(beginning);
  }

  add(pieces: readonly Blob[]): void {
    for (const piece of pieces) this.size += piece.size;
    this.#parts.push(...pieces);
  }

  blob(): Blob {
    return new Blob(this.#parts);
  }
}

/** What goes along with a tokenizer, where the result is a folder and they are there. */
const companionNames = ['tokenizer_config.json', 'generation_config.json'] as const;

export interface FedModel<Heap> {
  readonly heap: Heap;
  /** Whether there was a config.json. */
  readonly hasConfig: boolean;
  /** Those with the weights, where matrices were left in them. */
  readonly files: readonly (Blob | undefined)[];
}

/** Feeds a model's weights and what lies beside them. */
export async function feedModel<Heap extends WorkshopHeap<WorkshopModule>>(
  module: Promise<Heap>,
  loading: Loading,
  { request, signal }: Pick<Context<ReadRequest>, 'request' | 'signal'>,
  { takesCompanions, leavesMatrices }: { takesCompanions: boolean; leavesMatrices: boolean },
): Promise<FedModel<Heap>> {
  const { folder } = loading;
  const [heap, config, tokenizer, weights, ...companions] = await settleAll([
    module,
    folder.open('config.json'),
    request.tokenizer ? openTokenizer(folder) : undefined,
    openWeights(folder),
    ...companionNames.map((name) => (takesCompanions ? folder.open(name).catch(() => undefined) : undefined)),
  ] as const);
  loading.expect([config, tokenizer, weights.first, ...companions], weights.names);
  heap.weightsBegin(leavesMatrices);
  await loading.feedConfig(heap, config, request.overrides);
  if (tokenizer) heap.weightsCompanion(tokenizer.name, await loading.readSmall(heap, tokenizer), true);
  for (const file of companions) if (file) heap.weightsCompanion(file.name, await loading.readSmall(heap, file), false);
  const files = await loading.feedWeights(heap, weights);
  raiseIfAborted(signal);
  return { heap, hasConfig: config !== undefined, files };
}
