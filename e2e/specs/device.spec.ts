import { rwkv } from '../support/models.ts';
import { expect, test } from '../support/test.ts';

test.beforeEach(async ({ page, writer }) => {
  await writer.visit();
  await page.getByRole('link', { name: 'This device' }).click();
});

test('it says what the browser offers and which build runs', async ({ page }) => {
  const offers = page.getByRole('region', { name: 'What this browser offers' });
  await expect(offers).toContainText(/The (relaxed|plain) SIMD build runs here/);
  for (const name of ['SIMD', 'Relaxed SIMD', 'Threads', 'Memory', 'Storage']) {
    await expect(offers.getByRole('term').filter({ hasText: name }).first()).toBeVisible();
  }
});

test('one click measures, and the result can be copied', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Measure' }).click();
  await expect(page.getByRole('progressbar', { name: 'Measuring' })).toBeVisible();
  await page.getByRole('button', { name: 'Copy the result' }).click({ timeout: 60_000 });
  const result = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  expect(result.prefillTokensPerS).toBeGreaterThan(0);
  expect(result.decodeTokensPerS).toBeGreaterThan(0);
  expect(result).toMatchObject({ model: rwkv, promptTokens: 512, genTokens: 128 });
});

test('a measurement can be cancelled', async ({ page }) => {
  await page.getByRole('button', { name: 'Measure' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByRole('button', { name: 'Measure' })).toBeEnabled();
  await expect(page.getByRole('button', { name: 'Copy the result' })).toHaveCount(0);
});

test('the engine keeps its promises here', async ({ page }) => {
  const checks = page.getByRole('region', { name: 'Whether it keeps its promises here' });
  await checks.getByRole('button', { name: 'Check' }).click();
  await expect(checks.getByRole('listitem').filter({ hasText: ': kept' })).toHaveCount(5, { timeout: 60_000 });
});
