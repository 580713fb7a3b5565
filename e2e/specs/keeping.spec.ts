import { mamba, rwkv } from '../support/models.ts';
import { expect, test } from '../support/test.ts';

test('text, versions and settings survive a reload', async ({ page, writer }) => {
  await writer.visit();
  await writer.setLength(48);
  await writer.write();
  await writer.button('Branch').click();
  await writer.finished();
  await writer.draft.fill('And then');
  const text = await writer.read();
  await page.waitForTimeout(800);
  await page.reload();
  await writer.modelIs(rwkv);
  expect(await writer.read()).toBe(text);
  await expect(writer.draft).toHaveValue('And then');
  await writer.button('How it writes').click();
  await expect(page.getByLabel('Length')).toHaveValue('48');
  await page.keyboard.press('Escape');
  await writer.write(); // and the model still knows what stands there
  expect((await writer.read()).length).toBeGreaterThan(text.length + 20);
});

test('the model used last is the one that loads', async ({ page, writer }) => {
  await writer.visit();
  await writer.chooseModel(mamba);
  await page.reload();
  await writer.modelIs(mamba);
});

test('Clear everything asks first, and then nothing is left', async ({ page, writer }) => {
  await writer.visit();
  await expect(page.getByRole('button', { name: 'offline-ready' })).toBeVisible();
  await writer.setLength(32);
  await writer.write();
  await writer.button('More').click();
  await writer.button('Clear everything…').click();
  await writer.button('Keep it').click();
  await expect(writer.text).not.toHaveCount(0);
  await writer.button('More').click();
  await writer.button('Clear everything…').click();
  // The page that comes back may load nothing: what is stored then is what was left.
  await page.route('**/*', (route) => route.fulfill({ contentType: 'text/html', body: '<title>gone</title>' }));
  await page.getByRole('dialog').getByRole('button', { name: 'Clear everything' }).click();
  await expect(page).toHaveTitle('gone');
  const left = await page.evaluate(async () => ({
    databases: (await indexedDB.databases()).map(({ name }) => name),
    caches: await caches.keys(),
    workers: (await navigator.serviceWorker.getRegistrations()).length,
    local: localStorage.length,
  }));
  expect(left).toEqual({ databases: [], caches: [], workers: 0, local: 0 });
  await page.evaluate(() => {
    window.policyViolations = [];
  });
});
