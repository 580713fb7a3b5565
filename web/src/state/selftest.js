// Promises of the engine, checked on this device with the loaded model. Each is something the writing place relies on.
import { signal } from '@preact/signals';
import { ready } from './engine';
const PROMPT = 'Once upon a time there was a little girl who lived';
const TOKENS = 24;
const SEEDED = { maxTokens: TOKENS, temperature: 0.9, topP: 0.95, seed: 7 };
const GREEDY = { maxTokens: TOKENS, temperature: 0 };
async function withSession(model, act) {
    const session = await model.createSession();
    try {
        return await act(session);
    }
    finally {
        await session.dispose();
    }
}
const differ = (a, b) => (a === b ? '' : `“${a}” and “${b}”`);
const TESTS = [
    [
        'The same seed writes the same text',
        async (model) => differ(await model.generate(PROMPT, SEEDED).text(), await model.generate(PROMPT, SEEDED).text()),
    ],
    [
        'A saved memory continues as if nothing had happened',
        (model) => withSession(model, async (session) => {
            await session.append(PROMPT);
            const memory = await session.saveState();
            const straight = await session.generate(undefined, GREEDY).text();
            await session.loadState(memory);
            return differ(straight, await session.generate(undefined, GREEDY).text());
        }),
    ],
    [
        'A branch does not disturb the text it left',
        (model) => withSession(model, async (session) => {
            await session.append(PROMPT);
            const branch = await session.clone();
            await branch.append(' in a very different place,');
            await branch.dispose();
            return differ(await session.generate(undefined, GREEDY).text(), await model.generate(PROMPT, GREEDY).text());
        }),
    ],
    [
        'Text comes back from the tokenizer unchanged',
        async (model) => {
            const text = 'Naïve “quotes” — snow ❄ 雪\nand a new line.';
            return differ(text, await model.tokenizer.decode(await model.tokenizer.encode(text)));
        },
    ],
    [
        'Stopping really stops',
        async (model) => {
            const generation = model.generate(PROMPT, { ...GREEDY, maxTokens: 4096 });
            for await (const _ of generation)
                break;
            const reason = generation.result?.stopReason ?? 'none';
            return reason === 'aborted' ? '' : `It ended with “${reason}”.`;
        },
    ],
];
export const checks = signal(TESTS.map(([promise]) => ({ promise, state: 'waiting', details: '' })));
export const checking = signal(false);
const mark = (index, values) => {
    checks.value = checks.value.map((check, at) => (at === index ? { ...check, ...values } : check));
};
export async function runChecks() {
    const model = ready.value?.model;
    if (checking.value || !model)
        return;
    checking.value = true;
    checks.value = checks.value.map((check) => ({ ...check, state: 'waiting', details: '' }));
    for (const [index, [, test]] of TESTS.entries()) {
        mark(index, { state: 'running' });
        const details = await test(model).catch((error) => error instanceof Error ? error.message : String(error));
        mark(index, { state: details === '' ? 'kept' : 'broken', details });
    }
    checking.value = false;
}
