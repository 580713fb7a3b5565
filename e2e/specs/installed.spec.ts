import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../../tools/serve.mjs';
import { expect, test } from '../support/test.ts';

test('the page can be installed: a manifest, and icons of the sizes it names', async ({ page, request }) => {
  await page.goto('');
  const address = await page.locator('link[rel=manifest]').getAttribute('href');
  const manifest = await (await request.get(new URL(address ?? '', page.url()).href)).json();
  expect(manifest).toMatchObject({ name: 'Sutra', display: 'standalone' });
  const sizes: string[] = manifest.icons.map((icon: { sizes: string }) => icon.sizes);
  expect(sizes).toEqual(expect.arrayContaining(['192x192', '512x512']));
  for (const icon of manifest.icons as { src: string; sizes: string }[]) {
    const width = await page.evaluate(async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return image.naturalWidth;
    }, new URL(icon.src, page.url()).href);
    if (icon.sizes !== 'any') expect(`${width}x${width}`).toBe(icon.sizes);
  }
});

test('an update asks before it reloads the page', async ({ page, writer }) => {
  const parent = mkdtempSync(join(tmpdir(), 'sutra-e2e-'));
  const site = join(parent, 'dist');
  cpSync(join(import.meta.dirname, '../../web/dist'), site, { recursive: true });
  const server = await serve({ port: 0, mounts: [['/', site]] });
  try {
    await writer.visit(server.url);
    await expect(page.getByRole('button', { name: 'offline-ready' })).toBeVisible();
    appendFileSync(join(site, 'sw.js'), '\n// a newer version\n');
    await page.reload();
    await expect(page.getByText('A new version of this page is ready. Your text stays.')).toBeVisible();
    await writer.draft.fill('Still here');
    await page.waitForTimeout(1000);
    await expect(writer.draft).toHaveValue('Still here');
    const reloaded = page.waitForEvent('load');
    await writer.button('Reload now').click();
    await reloaded;
    await expect(writer.draft).toHaveValue('Still here');
    await expect(page.getByText('A new version of this page is ready.')).toHaveCount(0);
  } finally {
    await server.close();
    rmSync(parent, { recursive: true, force: true });
  }
});
