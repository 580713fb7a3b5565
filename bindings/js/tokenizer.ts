// The caller's side of a tokenizer, of a model or on its own.
import type { Connection } from './connection.ts';
import { SutraError } from './errors.ts';
import { checkedIds } from './options.ts';
import type { EncodeOptions, StreamDecoder, TokenIds, Tokenizer } from './types.ts';

export class EngineTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly #connection: Connection;
  /** The connection of a model is the model's to close. */
  readonly #owns: boolean;

  constructor(connection: Connection, vocabularySize: number, owns: boolean) {
    this.#connection = connection;
    this.vocabularySize = vocabularySize;
    this.#owns = owns;
  }

  async encode(text: string, options: EncodeOptions = {}): Promise<Int32Array> {
    const [ids] = await this.encodeBatch([text], options);
    return ids!;
  }

  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Promise<Int32Array[]> {
    return this.#connection.call('encode', { texts, options });
  }

  async decode(ids: TokenIds): Promise<string> {
    return this.#connection.call('decode', { ids: checkedIds(ids) });
  }

  async countTokens(text: string, options: EncodeOptions = {}): Promise<number> {
    return (await this.encode(text, options)).length;
  }

  streamDecoder(): StreamDecoder {
    return new EngineStreamDecoder(this.#connection);
  }

  async dispose(): Promise<void> {
    if (this.#owns) this.#connection.close(new SutraError('disposed', 'the tokenizer was disposed'));
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

const decoders = new FinalizationRegistry<{ connection: Connection; decoder: Promise<number> }>(
  ({ connection, decoder }) => {
    decoder.then((number) => connection.call('disposeDecoder', { decoder: number })).catch(() => {});
  },
);

class EngineStreamDecoder implements StreamDecoder {
  readonly #connection: Connection;
  #decoder: Promise<number> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async push(id: number): Promise<string> {
    checkedIds([id]);
    return this.#step(id);
  }

  flush(): Promise<string> {
    return this.#step(null);
  }

  async #step(id: number | null): Promise<string> {
    if (!this.#decoder) {
      this.#decoder = this.#connection.call('createDecoder', undefined);
      decoders.register(this, { connection: this.#connection, decoder: this.#decoder });
    }
    return this.#connection.call('stepDecoder', { decoder: await this.#decoder, id });
  }
}
