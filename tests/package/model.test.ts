// The package as people use it, on every model that can write, in Node's worker.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load, type SutraModel, Tokenizer } from 'sutra-web';
import { storyModels } from './models.ts';

const withCode = (code: string, message = /./) => ({ name: 'SutraError', code, message });

for (const folder of storyModels)
  describe(`${basename(folder)} (${folder.includes('/shared/') ? 'float' : '4-bit'})`, () => {
    let model: SutraModel;
    before(async () => {
      model = await load(`${folder}/`);
    });
    after(async () => {
      await model.dispose();
      await model.dispose();
      assert.equal((await model.lost).code, 'disposed');
      await assert.rejects(model.generate('a').text(), withCode('disposed'));
      await assert.rejects(model.memory(), withCode('disposed'));
    });

    test('it tells what it is and what runs it', async () => {
      const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
      assert.equal(model.info.vocabularySize, config.vocab_size);
      assert.ok(model.info.parameters > 1e6 && model.info.bytes > 1e6 && model.info.stateBytes > 1e4);
      assert.equal(model.runtime.artefact, 'relaxed');
      const { wasmBytes, usedBytes, peakBytes } = await model.memory();
      assert.ok(usedBytes >= model.info.bytes && peakBytes >= usedBytes && wasmBytes >= usedBytes);
      assert.ok(wasmBytes <= 1.15 * model.info.bytes + 32e6, `${wasmBytes} bytes for a model of ${model.info.bytes}`);
    });

    test('eight bits of activations make a 4-bit model a little less exact, and change no other', async () => {
      const ids = [1, 5, 300, 41, 7, 7, 902];
      const exact = await model.logits(ids);
      const fast = await load(`${folder}/`, { activationBits: 8, tokenizer: false, threads: 1 });
      const logits = await fast.logits(ids);
      await fast.dispose();
      const rms = (values: Float32Array) => Math.hypot(...values) / Math.sqrt(values.length);
      const error = rms(exact.map((value, i) => value - logits[i]!)) / rms(exact);
      // Seven bits err by 1/127/√12 = 0.23 % of a group's largest input in each of some twenty products in a row; a
      // wrong plane or sign gives errors near 1.
      const is4Bit = model.info.quantisation.startsWith('4-bit');
      assert.ok(is4Bit ? error > 0 && error < 0.05 : error === 0, `relative error ${error}`);
    });

    test('the same seed writes the same text, streamed or whole', async () => {
      const options = { maxTokens: 40, temperature: 0.8, topP: 0.9, seed: 3, logprobs: true };
      const pieces: string[] = [];
      const generation = model.generate('Once upon a time', options);
      for await (const { text, id, logprob } of generation) {
        pieces.push(text);
        assert.ok(id < 0 ? logprob === undefined : logprob! <= 0);
      }
      assert.equal(await model.generate('Once upon a time', options).text(), pieces.join(''));
      for await (const { logprob } of model.generate('Once', { maxTokens: 3 })) assert.equal(logprob, undefined);
      assert.ok(['length', 'eos'].includes(generation.result!.stopReason));
      assert.ok(generation.result!.timings.decodeTokensPerS > 0);
    });

    test('a session that is cloned, saved or read at once goes on in the same way', async () => {
      const options = { maxTokens: 24, temperature: 0 };
      const session = await model.createSession();
      await session.append('Once upon a time there was a king');
      const copy = await session.clone();
      const state = await session.saveState();
      const text = await session.generate(' who', options).text();
      assert.equal(await copy.generate(' who', options).text(), text);
      const other = await model.createSession();
      await other.append('Something else entirely.');
      await other.loadState(state);
      assert.equal(other.position, copy.position - session.position + other.position);
      assert.equal(await other.generate(' who', options).text(), text);
      const ids = [
        ...(await model.tokenizer.encode('Once upon a time there was a king')),
        ...(await model.tokenizer.encode(' who')),
      ];
      assert.equal(await model.generate(ids, options).text(), text);
      await Promise.all([session, copy, other].map((one) => one.dispose()));
    });

    test('abort stops within a token, break leaves the session where the reader is', async () => {
      const controller = new AbortController();
      const session = await model.createSession();
      const ids: number[] = [];
      for await (const { id } of session.generate('The old woman', { maxTokens: 500, seed: 1 })) {
        ids.push(id);
        if (ids.length === 7) break;
      }
      const prompt = await model.tokenizer.encode('The old woman');
      assert.equal(session.position, prompt.length + 7);
      const generation = session.generate('', { maxTokens: 100_000, signal: controller.signal });
      await assert.rejects(
        async () => {
          for await (const _ of generation) controller.abort();
        },
        { name: 'AbortError' },
      );
      assert.equal(generation.result!.stopReason, 'aborted');
      assert.ok(generation.result!.usage.generatedTokens <= 2);
      assert.ok(session.position <= prompt.length + 9);
      await session.dispose();
    });

    test('a stop string ends the text before itself', async () => {
      const free = await model.generate('Once upon a time', { maxTokens: 60, temperature: 0 }).text();
      const stop = free.slice(30, 36);
      const generation = model.generate('Once upon a time', { maxTokens: 60, temperature: 0, stop });
      assert.equal(await generation.text(), free.slice(0, free.indexOf(stop)));
      assert.equal(generation.result!.stopReason, 'stop');
    });

    test('options that make no sense are refused by name and the model goes on', async () => {
      for (const [name, value] of Object.entries({ temperature: Number.NaN, topP: 0, minP: 2, repetitionPenalty: -1 }))
        await assert.rejects(
          model.generate('a', { [name]: value }).text(),
          withCode('invalid_argument', new RegExp(name.slice(0, 3))),
          name,
        );
      await assert.rejects(model.generate('a', { maxTokens: Number.NaN }).text(), withCode('invalid_argument'));
      await assert.rejects(model.generate('a', { stop: '' }).text(), withCode('invalid_argument'));
      await assert.rejects(model.generate([model.info.vocabularySize]).text(), withCode('invalid_argument'));
      await assert.rejects(model.logits([]), withCode('invalid_argument'));
      assert.equal(await model.generate('a', { maxTokens: 0 }).text(), '');
      await model.generate('a', { maxTokens: 1 }).text();
    });

    test('any prompt in any script is read and given back as it was', async () => {
      const texts = [
        '',
        'مرحبا بالعالم',
        'नमस्ते दुनिया',
        '你好，世界',
        'שלום',
        'สวัสดีชาวโลก',
        '👩‍👩‍👧‍👦 🇺🇳',
        'e\u0301',
        '\u0000\u0001\r\n\t',
        'a\u202eb',
      ];
      for (const text of texts) {
        const ids = await model.tokenizer.encode(text);
        assert.equal(await model.tokenizer.decode(ids), text);
        const decoder = model.tokenizer.streamDecoder();
        let streamed = '';
        for (const id of ids) streamed += await decoder.push(id);
        assert.equal(streamed + (await decoder.flush()), text);
        const generation = model.generate(text, { maxTokens: 2, seed: 1 });
        await generation.text();
        assert.ok(generation.result!.usage.promptTokens >= Math.min(1, ids.length));
      }
      assert.equal(await model.tokenizer.decode(await model.tokenizer.encode('\ud83d')), '\ufffd');
    });

    test('a state of another model is refused and the session stays', async () => {
      const session = await model.createSession({
        system: 'Once upon',
        messages: [{ role: 'user', content: ' a time' }],
      });
      const { position } = session;
      const state = await session.saveState();
      const header = Buffer.from(state).toString('latin1');
      const at = header.indexOf('model_hash":"') + 'model_hash":"'.length;
      const foreign = Uint8Array.from(state);
      foreign[at] = foreign[at] === 48 ? 49 : 48;
      await assert.rejects(session.loadState(foreign), withCode('state_mismatch'));
      for (const broken of [state.slice(0, 5), state.slice(0, state.length - 1), new Uint8Array(100)])
        await assert.rejects(session.loadState(broken), { name: 'SutraError' });
      assert.equal(session.position, position);
      await session.append('!');
      await session.reset();
      assert.equal(session.position, position);
      await session.dispose();
    });

    test('the tokenizer alone gives the same ids', async () => {
      const tokenizer = await Tokenizer.from(`${folder}/`);
      const text = 'The king’s daughter said: “Good-day!”';
      assert.deepEqual(await tokenizer.encode(text), await model.tokenizer.encode(text));
      assert.equal(tokenizer.vocabularySize, model.tokenizer.vocabularySize);
      assert.equal(await tokenizer.countTokens(text), (await tokenizer.encode(text)).length);
      await tokenizer.dispose();
      await assert.rejects(tokenizer.encode(text), withCode('disposed'));
    });
  });

test('a prompt of 100 KB is read, and can be stopped on its way', { skip: storyModels.length === 0 }, async () => {
  const model = await load(`${storyModels.at(0)!}/`);
  const text = 'The fox went out on a winter’s night. '.repeat(2600);
  const controller = new AbortController();
  const session = await model.createSession();
  setTimeout(() => controller.abort(), 100);
  await assert.rejects(session.append(text, { signal: controller.signal }), { name: 'AbortError' });
  assert.ok(session.position === 0, 'the position is that of the last finished call');
  const short = text.slice(0, 4000);
  await session.reset();
  await session.append(short);
  assert.equal(session.position, await model.tokenizer.countTokens(short));
  const generation = model.generate(text, { maxTokens: 1, temperature: 0 });
  await generation.text();
  assert.equal(generation.result!.usage.promptTokens, await model.tokenizer.countTokens(text));
  await model.dispose();
});
