// A client and a host joined by messages that are really cloned, with the fake engine behind them.
import { Connection } from '../../bindings/js/connection.ts';
import { Heap } from '../../bindings/js/heap.ts';
import type { LoadRequest, Reply } from '../../bindings/js/protocol.ts';
import { EngineSession } from '../../bindings/js/session.ts';
import type { SutraErrorCode } from '../../bindings/js/types.ts';
import { createHost } from '../../bindings/js/worker.ts';
import { FakeEngine } from './fake_engine.ts';

export const runtime = { artefact: 'relaxed', threads: 1, worker: true, why: 'because' } as const;

export const plainFiles = (files: Record<string, string | Uint8Array>) => ({
  kind: 'files' as const,
  files: Object.entries(files).map(([name, content]) => ({ name, blob: new Blob([content as BlobPart]) })),
});

export const toyFiles = { 'config.json': '{}', 'tokenizer.json': '{}', 'model.safetensors': new Uint8Array(3_000_000) };

export const loadRequest = (changes: Partial<LoadRequest> = {}): LoadRequest => ({
  source: plainFiles(toyFiles),
  ownThread: true,
  cache: false,
  exact: false,
  activationBits: 15,
  overrides: [],
  tokenizer: true,
  manifest: {},
  ...changes,
});

export function connect(engine = new FakeEngine()) {
  const connection = new Connection();
  const replies: Reply[] = [];
  const host = createHost(
    (reply) => {
      const copy = structuredClone(reply);
      replies.push(copy);
      setImmediate(() => connection.onReply(copy));
    },
    async () => ({ heap: new Heap(engine.module), runtime }),
  );
  connection.attach({
    post: (command) => {
      const copy = structuredClone(command);
      setImmediate(() => host.receive(copy));
    },
    setBusy: () => {},
    close: () => host.stop(),
  });
  return { connection, engine, replies };
}

export async function openSession(prompt = '') {
  const parts = connect();
  await parts.connection.call('load', loadRequest());
  const session = new EngineSession(parts.connection, await parts.connection.call('createSession', { prompt }), prompt);
  return { ...parts, session };
}

/** The ids of the only session that is left. */
export function onlySession(engine: FakeEngine): number[] {
  const [ids, ...others] = [...engine.sessions.values()];
  if (!ids || others.length > 0) throw new Error(`expected one session, found ${engine.sessions.size}`);
  return ids;
}

/** For assert.rejects and assert.throws. */
export const withCode = (code: SutraErrorCode, message = /./) => ({ name: 'SutraError', code, message });
export const asAbort = { name: 'AbortError' };
