import { rwkv } from '../support/models.ts';
import { expect, test } from '../support/test.ts';

test('after the first visit the page writes without a network', async ({ page, context, writer, watch }) => {
  watch.expected.push(/ERR_INTERNET_DISCONNECTED/); // the list of models is asked for anew, in vain
  await writer.visit();
  await expect(page.getByRole('button', { name: 'offline-ready' })).toBeVisible();
  await context.setOffline(true);
  await page.reload();
  await writer.modelIs(rwkv);
  await writer.setLength(32);
  await writer.write();
  expect((await writer.read(writer.models)).length).toBeGreaterThan(20);
});

test('the offline copy keeps shared memory: threads work as before', async ({ page, context, writer, watch }) => {
  watch.expected.push(/ERR_INTERNET_DISCONNECTED/); // the list of models is asked for anew, in vain
  await writer.visit();
  await expect(page.getByRole('button', { name: 'offline-ready' })).toBeVisible();
  const threads = page.getByRole('button', { name: /threads?$/ });
  const before = await threads.textContent();
  await context.setOffline(true);
  await page.reload();
  await writer.modelIs(rwkv);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await expect(threads).toHaveText(before ?? '');
});

test('once the model is there, no request leaves the page', async ({ page, writer }) => {
  await writer.visit();
  await expect(page.getByRole('button', { name: 'offline-ready' })).toBeVisible();
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  await writer.setLength(64);
  await writer.write();
  await writer.button('Branch').click();
  await writer.finished();
  expect(requests).toEqual([]);
});
