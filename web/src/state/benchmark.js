// How fast the loaded model is here: reading a prompt, and writing. The same quantities as `sutra bench` and bench:web:
// token ids in, one warm-up, medians of three runs.
import { signal } from '@preact/signals';
import { measureMemory, memoryBytes, ready } from './engine';
import { isAbort, report } from './problem';
const PROMPT_TOKENS = 512;
const GEN_TOKENS = 128;
const RUNS = 3;
export const benchmark = signal(null);
export const benchmarkResult = signal(null);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
// Fixed ids over the whole vocabulary, the same on every machine: a step coprime to it visits every id.
const promptIds = (vocabularySize) => Array.from({ length: PROMPT_TOKENS }, (_, index) => 1 + ((index * 7919) % (vocabularySize - 1)));
export async function runBenchmark() {
    const present = ready.value;
    if (benchmark.value || !present)
        return;
    const { model, choice } = present;
    const controller = new AbortController();
    const cancel = () => controller.abort();
    const show = (done) => {
        benchmark.value = { fraction: done / ((RUNS + 1) * GEN_TOKENS), cancel };
    };
    show(0);
    const prefill = [];
    const decode = [];
    const first = [];
    try {
        const ids = promptIds(model.info.vocabularySize);
        for (let run = 0; run <= RUNS; run++) {
            const generation = model.generate(ids, {
                maxTokens: GEN_TOKENS,
                temperature: 1,
                seed: 1,
                signal: controller.signal,
            });
            let tokens = 0;
            for await (const _ of generation)
                show(run * GEN_TOKENS + ++tokens);
            const timings = generation.result?.timings;
            if (run === 0 || !timings)
                continue;
            prefill.push(timings.prefillTokensPerS);
            first.push(timings.firstTokenMs);
            if (timings.decodeTokensPerS > 0)
                decode.push(timings.decodeTokensPerS);
        }
        await measureMemory();
        benchmarkResult.value = {
            model: choice.name,
            architecture: model.info.architecture,
            quantisation: model.info.quantisation,
            modelBytes: model.info.bytes,
            artefact: model.runtime.artefact,
            threads: model.runtime.threads,
            promptTokens: PROMPT_TOKENS,
            genTokens: GEN_TOKENS,
            prefillTokensPerS: median(prefill),
            decodeTokensPerS: median(decode),
            firstTokenMs: median(first),
            wasmBytes: memoryBytes.value,
            browser: navigator.userAgent,
            when: new Date().toISOString(),
        };
    }
    catch (error) {
        if (!isAbort(error))
            report('The measurement did not finish', error);
    }
    finally {
        benchmark.value = null;
    }
}
