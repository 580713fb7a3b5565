// What differs between Node and a page. Node's modules are fetched at run time in a way that bundlers do not see.

/** A worker of node:worker_threads, as far as it is used here. */
export interface NodePort {
  postMessage(message: unknown): void;
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own kind of value
  on(event: 'message' | 'messageerror' | 'error' | 'exit', listener: (value: any) => void): void;
}

export interface NodeWorker extends NodePort {
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

/** What is used of Node's own modules; the package needs no type declarations of Node's. */
interface NodeModules {
  'node:fs': { existsSync(path: string): boolean; openAsBlob(path: string): Promise<Blob> };
  'node:path': { resolve(path: string): string };
  'node:url': { fileURLToPath(url: string): string; pathToFileURL(path: string): URL };
  'node:os': { availableParallelism(): number; totalmem(): number };
  'node:worker_threads': {
    readonly Worker: new (script: URL, options: { workerData: string; execArgv: string[] }) => NodeWorker;
    readonly workerData: unknown;
    readonly parentPort: NodePort | null;
  };
}

interface NodeProcess {
  getBuiltinModule?<K extends keyof NodeModules>(name: K): NodeModules[K];
}

const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** By this name a script knows that it was started as the engine's thread and not just imported. */
export const workerName = 'sutra-worker';

/** Node itself, and not a page, a browser's worker or a runtime that offers the browser's interfaces. */
const isNode = typeof globalThis.Worker === 'undefined' && nodeProcess?.getBuiltinModule !== undefined;

/** A module of Node's own, or undefined in a page. */
export function nodeModule<K extends keyof NodeModules>(name: K): NodeModules[K] | undefined {
  return isNode ? nodeProcess?.getBuiltinModule?.(name) : undefined;
}

/** The bytes of one of the package's own files or of a local model. */
export async function openNodeFile(url: string): Promise<Blob | undefined> {
  const fs = nodeModule('node:fs');
  const path = nodeModule('node:url')?.fileURLToPath(url);
  if (!fs || path === undefined || !fs.existsSync(path)) return undefined;
  return fs.openAsBlob(path);
}

export function hardwareThreads(): number {
  return globalThis.navigator?.hardwareConcurrency ?? nodeModule('node:os')?.availableParallelism() ?? 1;
}

type Immediate = { setImmediate?: (callback: () => void) => void };
const { setImmediate } = globalThis as Immediate;
const channel = setImmediate ? undefined : new MessageChannel();
const waiting: (() => void)[] = [];
if (channel) channel.port1.onmessage = () => waiting.shift()?.();

/** Lets messages, input and drawing have their turn; unlike a zero timeout this costs microseconds. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (setImmediate) return setImmediate(resolve);
    waiting.push(resolve);
    channel?.port2.postMessage(null);
  });
}
