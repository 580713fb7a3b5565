// One arithmetic: the native program, the package in Node and the package in a page give the same tokens and the same
// saved states, in every artefact.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type Artefact, load } from 'sutra-web';
import { useBrowser } from './browser.ts';
import { shippedModels } from './models.ts';

const project = join(import.meta.dirname, '../..');
const prompt = 'Once upon a time there was a fox who';
const nTokens = 200;

const sutra = (...args: string[]) =>
  JSON.parse(
    execFileSync(join(project, 'build/sutra'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  );

const nativeIds = (model: string, ...options: string[]): number[] =>
  sutra(
    'generate',
    '--model',
    model,
    '--prompt',
    prompt,
    '--max-tokens',
    `${nTokens}`,
    '--temperature',
    '0',
    '--json',
    ...options,
  ).ids;

const onPage = useBrowser([['/models/', join(project, 'models')]]);

/** Greedy ids, written by the package in a page. */
async function pageIds(name: string, artefact: Artefact, threads: number): Promise<number[]> {
  const ids = await onPage((page) =>
    page.evaluate(
      async ({ name, artefact, threads, prompt, nTokens }) => {
        const { load } = (await import('/dist/index.js' as string)) as typeof import('sutra-web');
        const model = await load(`/models/${name}/`, { artefact, threads });
        const ids: number[] = [];
        for await (const { id } of model.generate(prompt, { maxTokens: nTokens, temperature: 0 })) ids.push(id);
        const { artefact: used, threads: n } = model.runtime;
        await model.dispose();
        return { ids, used, n };
      },
      { name, artefact, threads, prompt, nTokens },
    ),
  );
  assert.equal(ids.used, artefact);
  assert.equal(ids.n, threads);
  return ids.ids;
}

for (const folder of shippedModels) {
  const name = basename(folder);

  test(`${name}: ${nTokens} greedy tokens are the same natively, in Node and in Chromium`, async () => {
    const expected = nativeIds(folder);
    assert.ok(expected.length > 20);
    assert.deepEqual(nativeIds(folder, '--isa', 'scalar'), expected, 'native, scalar');
    const model = await load(`${folder}/`, { threads: 1 });
    const inNode: number[] = [];
    for await (const { id } of model.generate(prompt, { maxTokens: nTokens, temperature: 0 })) inNode.push(id);
    await model.dispose();
    assert.deepEqual(inNode, expected, 'Node');
    for (const artefact of ['relaxed', 'simd128'] as const) {
      for (const threads of [1, 2]) {
        assert.deepEqual(await pageIds(name, artefact, threads), expected, `Chromium, ${artefact}, ${threads} threads`);
      }
    }
  });

  test(`${name}: a saved state is the same bytes natively and in the package`, async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'sutra-state-'));
    try {
      const ids = [5, 100, 7, 2000, 3, 14, 15];
      const file = join(scratch, 'state');
      sutra('state', '--model', folder, '--ids', ids.join(','), '--save', file);
      const model = await load(`${folder}/`, { threads: 1 });
      const session = await model.createSession();
      await session.append(ids);
      assert.deepEqual(Buffer.from(await session.saveState()), readFileSync(file));
      const other = await model.createSession();
      await other.loadState(readFileSync(file));
      assert.equal(other.position, ids.length);
      await model.dispose();
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
}
