// The same page where the browser or the server offers less, and when the engine breaks.
import { rwkv } from '../support/models.ts';
import { plainUrl } from '../support/servers.ts';
import { expect, test } from '../support/test.ts';

test('without isolation it writes on one thread and says why', async ({ page, writer }) => {
  await writer.visit(plainUrl);
  await expect(page.getByRole('button', { name: '1 thread' })).toBeVisible();
  await writer.setLength(48);
  await writer.write();
  expect((await writer.read(writer.models)).length).toBeGreaterThan(40);
  await page.getByRole('link', { name: 'This device' }).click();
  await expect(page.getByRole('main')).toContainText('COOP and COEP');
});

test('with isolation it uses threads', async ({ page, writer }) => {
  await writer.visit();
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  test.skip(cores < 2, 'one core only');
  await expect(page.getByRole('button', { name: /^([2-9]|\d\d) threads$/ })).toBeVisible();
});

test.describe('without relaxed SIMD', () => {
  test.use({ serviceWorkers: 'block' });

  // No flag of this Chromium turns it off: the page and the worker get a WebAssembly that refuses its opcodes.
  function refuseRelaxedSimd(): void {
    const validate = WebAssembly.validate;
    WebAssembly.validate = (source) => {
      const bytes = new Uint8Array(source as ArrayBuffer);
      // 0xfd, then an opcode from 0x100 on in LEB128: the second byte of 0x93 0x02 and its neighbours.
      const relaxed = bytes.some((byte, at) => byte === 0xfd && (bytes[at + 1] ?? 0) >= 0x80 && bytes[at + 2] === 2);
      return !relaxed && validate(source);
    };
  }

  test('it writes with plain SIMD', async ({ page, writer }) => {
    await page.addInitScript(refuseRelaxedSimd);
    await page.route(/worker[\w-]*\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `(${refuseRelaxedSimd})();${await response.text()}` });
    });
    await writer.visit();
    await expect(page.getByRole('button', { name: 'plain SIMD' })).toBeVisible();
    await writer.setLength(48);
    await writer.write();
    expect((await writer.read(writer.models)).length).toBeGreaterThan(40);
  });
});

test('a crash of the engine is an error like any other: the text stays and the engine starts again', async ({
  page,
  writer,
  watch,
}) => {
  watch.expected.push(/made to fail/);
  await writer.visit();
  await writer.setLength(48);
  await writer.write();
  const before = await writer.read();
  const [worker] = page.workers();
  await worker?.evaluate(() => {
    setTimeout(() => {
      throw new Error('made to fail');
    });
  });
  await expect(writer.problem).toContainText('The engine stopped and was started again');
  await writer.modelIs(rwkv);
  expect(await writer.read()).toBe(before);
  await writer.button(/^Continue/).click();
  await expect.poll(async () => (await writer.read()).length).toBeGreaterThan(before.length);
  await writer.finished();
});

test('a crash while it writes keeps what was written', async ({ page, writer, watch }) => {
  watch.expected.push(/made to fail/);
  await writer.visitForLongText(1024);
  await writer.draft.press('Enter');
  await expect(writer.models.first()).toContainText(/\w+ \w+/);
  await page.workers()[0]?.evaluate(() => {
    setTimeout(() => {
      throw new Error('made to fail');
    });
  });
  await expect(writer.problem).toContainText('The engine stopped and was started again');
  expect((await writer.read(writer.models)).length).toBeGreaterThan(5);
  await expect(writer.facts).toContainText('Stopped by an error');
});
