// The caller's side of one text under way.
import type { Connection } from './connection.ts';
import { raise } from './errors.ts';
import { TextGeneration } from './generation.ts';
import { checkedPrompt } from './options.ts';
import type { SessionReply } from './protocol.ts';
import type { GenerateOptions, Generation, Prompt, Session, SessionOptions } from './types.ts';

/** Frees what nobody holds any more. The held part must not lead back to the session. */
const registry = new FinalizationRegistry<{ connection: Connection; session: number }>(({ connection, session }) => {
  connection.call('disposeSession', { session }).catch(() => {});
});

/** The text that a session starts from: system prompt and turns, one after the other. */
export function openingText({ system = '', messages = [] }: SessionOptions): string {
  return system + messages.map(({ content }) => content).join('');
}

export class EngineSession implements Session {
  readonly #connection: Connection;
  readonly #session: number;
  readonly #opening: string;
  #position: number;
  #disposed = false;

  constructor(connection: Connection, { session, position }: SessionReply, opening: string) {
    this.#connection = connection;
    this.#session = session;
    this.#position = position;
    this.#opening = opening;
    registry.register(this, { connection, session }, this);
  }

  get position(): number {
    return this.#position;
  }

  async append(prompt: Prompt, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#check();
    const request = { session: this.#session, prompt: checkedPrompt(prompt) };
    this.#moved(await this.#connection.call('append', request, { signal }));
  }

  generate(prompt: Prompt = '', options: GenerateOptions = {}): Generation {
    const target = {
      connection: this.#connection,
      session: this.#session,
      window: 1,
      check: () => this.#check(),
      onEnd: (reply: { position: number }) => this.#moved(reply),
    };
    return new TextGeneration(target, prompt, options);
  }

  send(message: string, options: GenerateOptions = {}): Promise<string> {
    return this.sendStreaming(message, options).text();
  }

  sendStreaming(message: string, options: GenerateOptions = {}): Generation {
    return this.generate(message, options);
  }

  async clone(): Promise<Session> {
    this.#check();
    const copy = await this.#connection.call('clone', { session: this.#session });
    return new EngineSession(this.#connection, copy, this.#opening);
  }

  async saveState(): Promise<Uint8Array> {
    this.#check();
    return this.#connection.call('save', { session: this.#session });
  }

  async loadState(state: Uint8Array | readonly Uint8Array[]): Promise<void> {
    this.#check();
    const states = Array.isArray(state) ? state : [state];
    if (states.length === 0 || !states.every((one) => one instanceof Uint8Array))
      raise('invalid_argument', 'a saved state must be a Uint8Array, or several in an array');
    this.#moved(await this.#connection.call('restore', { session: this.#session, states }));
  }

  async reset(): Promise<void> {
    this.#check();
    this.#moved(await this.#connection.call('reset', { session: this.#session, prompt: this.#opening }));
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    registry.unregister(this);
    // A lost engine has freed everything already.
    await this.#connection.call('disposeSession', { session: this.#session }).catch(() => {});
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #moved({ position }: { position: number }): void {
    this.#position = position;
  }

  #check(): void {
    if (this.#disposed) raise('disposed', 'the session was disposed');
  }
}
