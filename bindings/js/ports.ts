// The three ways to run the engine: a page's worker, a worker of Node, and the calling thread itself.
import type { Port, PortEvents } from './connection.ts';
import { raise } from './errors.ts';
import { type NodeWorker, nodeModule, workerName } from './platform.ts';

export async function openPort(events: PortEvents, ownThread: boolean): Promise<Port> {
  if (!ownThread) return openInThread(events);
  const threads = nodeModule('node:worker_threads');
  // Flags of the whole process (--eval, --import) are not meant for the engine's thread.
  const options = { workerData: workerName, execArgv: [] };
  if (threads) return openNodeWorker(new threads.Worker(workerScript(), options), events);
  return openWebWorker(events);
}

async function openInThread(events: PortEvents): Promise<Port> {
  const { createHost } = await import('./worker.ts');
  const host = createHost((reply) => events.onReply(reply));
  return {
    // Like a message: the caller goes on first.
    post: (command) => queueMicrotask(() => host.receive(command)),
    setBusy: () => {},
    close: () => host.stop(),
  };
}

function openNodeWorker(worker: NodeWorker, events: PortEvents): Port {
  worker.on('message', (reply) => events.onReply(reply));
  worker.on('error', (error) => events.onCrash(String(error)));
  worker.on('messageerror', (error) => events.onCrash(String(error)));
  worker.on('exit', (code) => events.onCrash(`exit code ${code}`));
  worker.unref();
  return {
    post: (command) => worker.postMessage(command),
    setBusy: (busy) => (busy ? worker.ref() : worker.unref()),
    close: () => void worker.terminate(),
  };
}

function openWebWorker(events: PortEvents): Port {
  const worker = createWebWorker();
  worker.onmessage = ({ data }) => events.onReply(data);
  worker.onerror = (event) => {
    event.preventDefault();
    events.onCrash(event.message || 'its script could not be loaded');
  };
  worker.onmessageerror = () => events.onCrash('a message could not be read');
  return {
    post: (command) => worker.postMessage(command),
    setBusy: () => {},
    close: () => worker.terminate(),
  };
}

function createWebWorker(): Worker {
  if (typeof Worker === 'undefined')
    return raise('unsupported', 'workers are not available here', { hint: 'Pass worker: false.' });
  try {
    // Written out, the name too: bundlers look for exactly this form.
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'sutra-worker' });
  } catch {
    return startFromOtherOrigin();
  }
}

/** A worker's script must be of the page's origin; one that only imports the real script is. */
function startFromOtherOrigin(): Worker {
  const blob = new Blob([`import ${JSON.stringify(workerScript().href)};`], { type: 'text/javascript' });
  const url = URL.createObjectURL(blob);
  const worker = new Worker(url, { type: 'module', name: workerName });
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}

/** The name is not written inside the call, because bundlers would take that for another asset. */
function workerScript(): URL {
  const path = './worker.js';
  return new URL(path, import.meta.url);
}
