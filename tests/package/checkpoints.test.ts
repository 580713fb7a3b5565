// Real checkpoints as people have them, without config.json, in Node and in a page.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LoadOptions, load } from 'sutra-web';
import { useBrowser } from './browser.ts';
import { readTensors, shared } from './models.ts';

const folder = join(shared, 'conformance/rwkv');
const prompt = [...Buffer.from('"in')];
const tolerance = 1e-5; // largest error, as the issue asks

const cases = ['v4', 'v5.2'].flatMap((version) =>
  ['model.pth', 'model.safetensors'].map((file) => ({
    path: `${version}/${file}`,
    // The published logits of v5.2 were made with this epsilon.
    config: version === 'v5.2' ? { group_norm_epsilon: 1e-5 } : {},
    expected: join(folder, version, 'expected_logits.safetensors'),
  })),
);
const skip = existsSync(folder) ? false : 'needs the shared conformance data';

function check(found: Iterable<number>, path: string): void {
  const expected = readTensors(path).get('logits')!.values;
  const values = [...found];
  assert.equal(values.length, expected.length);
  const largest = Math.max(...values.map((value, i) => Math.abs(value - expected[i]!)));
  assert.ok(largest <= tolerance, `largest error ${largest}`);
}

const onPage = useBrowser([['/checkpoints/', folder]]);

for (const { path, config, expected } of cases) {
  test(`${path} has the published logits in Node, from disk and from bytes`, { skip }, async () => {
    const bytes = readFileSync(join(folder, path));
    const name = path.slice(path.indexOf('/') + 1);
    for (const source of [join(folder, path), { files: { [name]: bytes } }]) {
      const model = await load(source, { exact: true, config });
      assert.match(model.info.architecture, /^rwkv[45]$/);
      check(await model.logits(prompt), expected);
      await assert.rejects(model.generate('text').text(), { code: 'not_found', message: /tokenizer/ });
      await model.dispose();
    }
  });

  test(`${path} has the published logits in Chromium, from a server and from a dropped file`, { skip }, async () => {
    const found = await onPage((page) =>
      page.evaluate(
        async ({ path, config, prompt }) => {
          const { load } = (await import('/dist/index.js' as string)) as typeof import('sutra-web');
          const url = `/checkpoints/${path}`;
          const file = new File([await (await fetch(url)).arrayBuffer()], 'dropped');
          const logits: number[][] = [];
          // The second time from the cache.
          for (const source of [url, url, [file]]) {
            const model = await load(source, { exact: true, config } as LoadOptions);
            logits.push([...(await model.logits(prompt))]);
            await model.dispose();
          }
          return logits;
        },
        { path, config, prompt },
      ),
    );
    for (const logits of found) check(logits, expected);
  });
}

test('a config key that the model does not have is refused', { skip }, async () => {
  await assert.rejects(load(join(folder, 'v4/model.pth'), { config: { no_such_key: 1 } }), {
    code: 'invalid_argument',
    message: /no_such_key/,
  });
});
