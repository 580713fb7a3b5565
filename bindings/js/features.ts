// Which build of the engine runs here. Instruction sets are probed by validating tiny modules, threads by really
// sending shared memory: some browsers say that they are cross-origin isolated and still cannot share.
import { hardwareThreads, nodeModule } from './platform.ts';
import type { Artefact, Probe } from './types.ts';

/** One build of the engine that can be tried. */
export interface Candidate {
  readonly artefact: Artefact;
  readonly threads: number;
}

export interface Offer {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  readonly sharedMemory: boolean;
  readonly crossOriginIsolated: boolean;
  /** Threads worth using where memory can be shared. */
  readonly hardwareThreads: number;
  readonly ownThread: boolean;
}

/** A module with one function () -> v128 of these instructions. */
function probeModule(instructions: readonly number[]): Uint8Array<ArrayBuffer> {
  const body = [0, ...instructions, 0x0b];
  const section = (id: number, content: readonly number[]) => [id, content.length, ...content];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 1, 0x7b]),
    ...section(3, [1, 0]),
    ...section(10, [1, body.length, ...body]),
  ]);
}

const i8x16Splat = [0x41, 0, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const i8x16Popcnt = [0xfd, 0x62];
const relaxedDotAdd = [0xfd, 0x93, 0x02]; // i32x4.relaxed_dot_i8x16_i7x16_add_s: what the 4-bit product is made of

function validates(instructions: readonly number[]): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(probeModule(instructions));
}

/** True once a shared memory has arrived, still shared, at the other end of a channel. */
async function canShareMemory(): Promise<boolean> {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  if (!nodeModule('node:os') && !globalThis.crossOriginIsolated) return false;
  const { port1, port2 } = new MessageChannel();
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return await new Promise<boolean>((resolve) => {
      port2.onmessage = ({ data }) => resolve(data?.buffer instanceof SharedArrayBuffer);
      port2.onmessageerror = () => resolve(false);
      setTimeout(resolve, 1000, false);
      port1.postMessage(memory);
    });
  } catch {
    return false;
  } finally {
    port1.close();
    port2.close();
  }
}

export async function examine(ownThread: boolean): Promise<Offer> {
  return {
    simd: validates([...i8x16Splat, ...i8x16Popcnt]),
    relaxedSimd: validates([...i8x16Splat, ...i8x16Splat, ...i8x16Splat, ...relaxedDotAdd]),
    sharedMemory: await canShareMemory(),
    crossOriginIsolated: globalThis.crossOriginIsolated === true,
    hardwareThreads: usefulThreads(hardwareThreads()),
    ownThread,
  };
}

/** Small products stop gaining after a few threads, and the machine's other half is for everything else. */
function usefulThreads(hardware: number): number {
  return hardware <= 4 ? hardware : Math.min(8, Math.ceil(hardware / 2));
}

export interface Wish {
  readonly artefact?: Artefact | undefined;
  readonly threads?: number | undefined;
}

/** The builds to try, fastest first, and one sentence on what is missing for the fastest. */
export function choose(offer: Offer, wish: Wish): { candidates: Candidate[]; why: string } {
  const threads = wish.threads ?? offer.hardwareThreads;
  const threadsWork = offer.sharedMemory && offer.ownThread;
  const artefacts: Artefact[] = [];
  if (offer.relaxedSimd && wish.artefact !== 'simd128') artefacts.push('relaxed');
  if (offer.simd && wish.artefact !== 'relaxed') artefacts.push('simd128');
  const candidates = artefacts.flatMap((artefact) => [
    ...(threadsWork && threads > 1 ? [{ artefact, threads }] : []),
    { artefact, threads: 1 },
  ]);
  return { candidates, why: explain(offer, wish, threads) };
}

function explain(offer: Offer, wish: Wish, threads: number): string {
  if (!offer.simd) return 'This browser has no WebAssembly SIMD, which the engine needs.';
  if (wish.artefact === 'relaxed' && !offer.relaxedSimd)
    return 'The relaxed build was asked for, but this browser has no relaxed SIMD.';
  return `${explainSimd(offer, wish)}; ${explainThreads(offer, threads)}.`;
}

function explainSimd(offer: Offer, wish: Wish): string {
  if (wish.artefact) return `The ${wish.artefact} build was asked for`;
  return offer.relaxedSimd
    ? 'Relaxed SIMD is available'
    : 'This browser has no relaxed SIMD, so the simd128 build runs';
}

function explainThreads(offer: Offer, threads: number): string {
  if (threads <= 1) return 'one thread';
  if (!offer.ownThread) return 'one thread, because the engine runs in the calling thread';
  if (offer.sharedMemory) return `${threads} threads`;
  if (offer.crossOriginIsolated) return 'one thread, because this browser does not share WebAssembly memory';
  return 'one thread, because the page is not cross-origin isolated (COOP and COEP headers)';
}

/** What this browser offers and which build load() would start with. */
export async function probe(): Promise<Probe> {
  const offer = await examine(true);
  const { candidates, why } = choose(offer, {});
  const gibibytes = (globalThis.navigator as { deviceMemory?: number } | undefined)?.deviceMemory ?? 0;
  return {
    simd: offer.simd,
    relaxedSimd: offer.relaxedSimd,
    threads: candidates[0]?.threads ?? 1,
    crossOriginIsolated: offer.crossOriginIsolated,
    memoryBytes: nodeModule('node:os')?.totalmem() ?? gibibytes * 2 ** 30,
    artefact: candidates[0]?.artefact ?? null,
    why,
  };
}
