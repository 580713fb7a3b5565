// The engine's functions. The other side is bindings/wasm/module.cpp, where every function is described.
import { type Address, type Answer, concatenate, ModuleHeap, packText, type SharedModule } from './module_heap.ts';
import type { WireGenerateOptions } from './protocol.ts';
import type { ModelInfo, Prompt, TokenIds } from './types.ts';

export interface EngineModule extends SharedModule {
  _sutra_self_test(): Address;
  _sutra_warm_up(): Address;
  _sutra_load_begin(exact: number, int8Activations: number, threads: number): Address;
  _sutra_load_tokenizer(sizeBytes: number): Address;
  _sutra_load_finish(): Address;
  _sutra_tokenizer_load(sizeBytes: number): Address;
  _sutra_session_create(): Address;
  _sutra_session_clone(session: number): Address;
  _sutra_session_position(session: number): Address;
  _sutra_session_remove(session: number): Address;
  _sutra_session_reset(session: number): Address;
  _sutra_session_logits(session: number): Address;
  _sutra_session_save(session: number): Address;
  _sutra_session_load(session: number, sizeBytes: number): Address;
  _sutra_session_mean(session: number, sizeBytes: number): Address;
  _sutra_generation_create(
    session: number,
    promptIsText: number,
    promptBytes: number,
    inputBytes: number,
    maxTokens: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    repetitionPenalty: number,
    seed: number,
    logprobs: number,
  ): Address;
  _sutra_generation_step(generation: number): Address;
  _sutra_generation_consume(generation: number): Address;
  _sutra_generation_remove(generation: number): Address;
  _sutra_perplexity_create(idsBytes: number, context: number, carryState: number): Address;
  _sutra_perplexity_step(perplexity: number): Address;
  _sutra_perplexity_remove(perplexity: number): Address;
  _sutra_encode(sizeBytes: number, special: number): Address;
  _sutra_decode(idsBytes: number): Address;
  _sutra_decoder_create(): Address;
  _sutra_decoder_push(decoder: number, id: number): Address;
  _sutra_decoder_flush(decoder: number): Address;
  _sutra_decoder_remove(decoder: number): Address;
}

export interface Step {
  readonly kind: 'prefill' | 'token' | 'done';
  readonly id: number;
  readonly logprob: number | undefined;
  readonly text: string;
  readonly stopReason: 'eos' | 'stop' | 'length' | undefined;
  readonly generatedTokens: number;
}

export interface SessionPlace {
  readonly session: number;
  readonly position: number;
}

const stepKinds = ['prefill', 'token', 'done'] as const;
const stopReasons = [undefined, 'eos', 'stop', 'length'] as const;
const encoder = new TextEncoder();

export class Heap extends ModuleHeap<EngineModule> {
  selfTest(): void {
    this.call((m) => m._sutra_self_test());
  }

  /** A few milliseconds of work, after which the browser makes its better code of the kernels. */
  warmUp(): void {
    this.call((m) => m._sutra_warm_up());
  }

  // Loading

  loadBegin(exact: boolean, activationBits: 15 | 8, threads: number): void {
    this.call((m) => m._sutra_load_begin(Number(exact), Number(activationBits === 8), threads));
  }

  loadTokenizer(json: Uint8Array): void {
    this.write(json);
    this.call((m) => m._sutra_load_tokenizer(json.length));
  }

  loadFinish(): { info: ModelInfo; tokenizerVocabulary: number } {
    const { values, text } = this.call((m) => m._sutra_load_finish());
    const [architecture, quantisation] = text.split('\n') as [string, string];
    const [
      parameters,
      bytes,
      stateBytes,
      layers,
      width,
      vocabularySize,
      tokenizerVocabulary,
      stateBytesPerToken,
      maxTokens,
    ] = values as unknown as [number, number, number, number, number, number, number, number, number];
    const state = { stateBytes, stateBytesPerToken, maxTokens };
    const info = { architecture, parameters, bytes, quantisation, layers, width, vocabularySize, ...state };
    return { info, tokenizerVocabulary };
  }

  tokenizerLoad(json: Uint8Array): number {
    this.write(json);
    return this.call((m) => m._sutra_tokenizer_load(json.length)).values[0]!;
  }

  // Sessions

  sessionCreate(): SessionPlace {
    return place(this.call((m) => m._sutra_session_create()));
  }

  sessionClone(session: number): SessionPlace {
    return place(this.call((m) => m._sutra_session_clone(session)));
  }

  sessionPlace(session: number): SessionPlace {
    return place(this.call((m) => m._sutra_session_position(session)));
  }

  sessionRemove(session: number): void {
    this.call((m) => m._sutra_session_remove(session));
  }

  sessionReset(session: number): SessionPlace {
    return place(this.call((m) => m._sutra_session_reset(session)));
  }

  sessionLogits(session: number): Float32Array {
    return new Float32Array(this.call((m) => m._sutra_session_logits(session)).data);
  }

  sessionSave(session: number): Uint8Array {
    return new Uint8Array(this.call((m) => m._sutra_session_save(session)).data);
  }

  sessionLoad(session: number, state: Uint8Array): SessionPlace {
    this.write(state);
    return place(this.call((m) => m._sutra_session_load(session, state.length)));
  }

  /** The session becomes the mean of others. */
  sessionMean(session: number, of: readonly number[]): SessionPlace {
    const ids = idBytes(of);
    this.write(ids);
    return place(this.call((m) => m._sutra_session_mean(session, ids.length)));
  }

  // Generation

  generationCreate(
    session: number,
    prompt: Prompt,
    options: WireGenerateOptions,
  ): { generation: number; promptTokens: number } {
    const promptBytes = typeof prompt === 'string' ? encoder.encode(prompt) : idBytes(prompt);
    const input = concatenate([promptBytes, ...options.stop.flatMap(packText)]);
    this.write(input);
    const { values } = this.call((m) =>
      m._sutra_generation_create(
        session,
        Number(typeof prompt === 'string'),
        promptBytes.length,
        input.length,
        options.maxTokens,
        options.temperature,
        options.topK,
        options.topP,
        options.minP,
        options.repetitionPenalty,
        options.seed,
        Number(options.logprobs),
      ),
    );
    return { generation: values[0]!, promptTokens: values[1]! };
  }

  /** Reads the last step's token into the session; generationStep() begins with it where this was not called. */
  generationConsume(generation: number): void {
    this.call((m) => m._sutra_generation_consume(generation));
  }

  generationStep(generation: number): Step {
    const { values, text } = this.call((m) => m._sutra_generation_step(generation));
    return {
      kind: stepKinds[values[0]!]!,
      id: values[2]!,
      logprob: Number.isNaN(values[3]!) ? undefined : values[3]!,
      text,
      stopReason: stopReasons[values[4]!],
      generatedTokens: values[5]!,
    };
  }

  generationRemove(generation: number): void {
    this.call((m) => m._sutra_generation_remove(generation));
  }

  // Perplexity

  perplexityCreate(ids: TokenIds, context: number, carryState: boolean): number {
    const bytes = idBytes(ids);
    this.write(bytes);
    return this.call((m) => m._sutra_perplexity_create(bytes.length, context, Number(carryState))).values[0]!;
  }

  /** `nll`: the mean of the tokens scored so far. */
  perplexityStep(perplexity: number): { more: boolean; tokens: number; nll: number } {
    const { values } = this.call((m) => m._sutra_perplexity_step(perplexity));
    return { more: values[0] === 1, tokens: values[1]!, nll: values[2]! };
  }

  perplexityRemove(perplexity: number): void {
    this.call((m) => m._sutra_perplexity_remove(perplexity));
  }

  // Text

  encode(text: string, special: boolean): Int32Array {
    const bytes = encoder.encode(text);
    this.write(bytes);
    return new Int32Array(this.call((m) => m._sutra_encode(bytes.length, Number(special))).data);
  }

  decode(ids: TokenIds): string {
    const bytes = idBytes(ids);
    this.write(bytes);
    return this.call((m) => m._sutra_decode(bytes.length)).text;
  }

  decoderCreate(): number {
    return this.call((m) => m._sutra_decoder_create()).values[0]!;
  }

  /** null ends the text. */
  decoderStep(decoder: number, id: number | null): string {
    return this.call((m) => (id === null ? m._sutra_decoder_flush(decoder) : m._sutra_decoder_push(decoder, id))).text;
  }

  decoderRemove(decoder: number): void {
    this.call((m) => m._sutra_decoder_remove(decoder));
  }
}

function place({ values }: Answer): SessionPlace {
  return { session: values[0]!, position: values[1]! };
}

function idBytes(ids: TokenIds): Uint8Array {
  return new Uint8Array(Int32Array.from(ids).buffer);
}
