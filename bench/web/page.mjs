// In the page: the package on the model that run.mjs serves.
import { load, quantize } from '/dist/index.js';

/**
 * One warm-up and three runs; medians.
 * @param {{promptTokens: number, genTokens: number, threads?: number, artefact?: 'simd128' | 'relaxed', activationBits: 15 | 8}} wish
 */
export async function measure({ promptTokens, genTokens, ...wish }) {
  const timedLoad = async () => {
    const started = performance.now();
    const model = await load('/model/', { tokenizer: false, ...wish });
    return { model, ms: performance.now() - started };
  };
  const first = await timedLoad();
  await first.model.dispose();
  const { model, ms: loadMs } = await timedLoad(); // the files now come from the browser's cache

  // Before anything has run: the engine's code is as the browser compiled it at first.
  const startedAt = performance.now();
  let afterLoadMs = 0;
  for await (const _ of model.generate([1], { maxTokens: 1, temperature: 0 })) {
    afterLoadMs = performance.now() - startedAt;
  }

  const prompt = randomIds(promptTokens, model.info.vocabularySize);
  /** @type {import('sutra-web').GenerateResult['timings'][]} */
  const runs = [];
  for (let run = 0; run < 4; run++) runs.push(await write(model, prompt, genTokens));
  const median = (/** @type {(timings: typeof runs[0]) => number} */ of) =>
    runs
      .slice(1)
      .map(of)
      .sort((a, b) => a - b)[1] ?? 0;
  const { wasmBytes, peakBytes } = await model.memory();
  return {
    load_ms: loadMs,
    first_load_ms: first.ms,
    first_token_after_load_ms: afterLoadMs,
    first_token_ms: median(({ firstTokenMs }) => firstTokenMs),
    prefill_tokens_per_s: median(({ prefillTokensPerS }) => prefillTokensPerS),
    decode_tokens_per_s: median(({ decodeTokensPerS }) => decodeTokensPerS),
    peak_bytes: peakBytes,
    peak_wasm_bytes: wasmBytes,
    model_bytes: model.info.bytes,
    activation_bits: wish.activationBits,
    artefact: model.runtime.artefact,
    threads: model.runtime.threads,
    why: model.runtime.why,
  };
}

/**
 * All of `quantize()`, once; `quantize_ms` is what of it comes after reading the model.
 * @param {string} url of the calibration text
 * @param {{threads?: number, artefact?: 'simd128' | 'relaxed'}} wish
 */
export async function measureQuantizing(url, { threads, artefact }) {
  const calibration = await (await fetch(url)).text();
  const started = performance.now();
  let beganAt = 0;
  const { report, files, memory } = await quantize('/model/', {
    calibration,
    cache: false,
    ...(threads === undefined ? {} : { threads }),
    ...(artefact === undefined ? {} : { artefact }),
    onProgress: ({ phase }) => {
      if (phase === 'quantize') beganAt ||= performance.now();
    },
  });
  const ended = performance.now();
  return {
    total_ms: ended - started,
    quantize_ms: ended - beganAt,
    peak_bytes: memory.peakBytes,
    peak_wasm_bytes: memory.wasmBytes,
    file_bytes: files['model.safetensors']?.size ?? 0,
    compression: report.compression,
    calibration_tokens: report.calibrationTokens,
  };
}

/**
 * One prompt and exactly `count` tokens after it: where the model ends its text, it goes on.
 * @param {import('sutra-web').SutraModel} model
 * @param {number[]} prompt
 * @param {number} count
 */
async function write(model, prompt, count) {
  const session = await model.createSession();
  let timings;
  let seconds = 0;
  let intervals = 0;
  for (let left = count; left > 0; ) {
    const generation = session.generate(timings ? [] : prompt, { maxTokens: left, temperature: 0 });
    for await (const _ of generation);
    const { result } = generation;
    if (!result) throw new Error('the generation has no result');
    timings ??= result.timings;
    const { generatedTokens } = result.usage;
    if (result.timings.decodeTokensPerS > 0) {
      intervals += generatedTokens - 1;
      seconds += (generatedTokens - 1) / result.timings.decodeTokensPerS;
    }
    left -= Math.max(1, generatedTokens);
  }
  await session.dispose();
  if (!timings) throw new Error('there is nothing to measure');
  return { ...timings, decodeTokensPerS: seconds > 0 ? intervals / seconds : 0 };
}

/**
 * Ids that look like no text, the same ones every time (a linear congruential sequence).
 * @param {number} count
 * @param {number} vocabulary
 */
function randomIds(count, vocabulary) {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabulary);
  });
}
