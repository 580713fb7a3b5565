import type { Page } from '@playwright/test';
import { goldenFile, mamba, rwkv, shippedModel, truncatedModel } from '../support/models.ts';
import { expect, test } from '../support/test.ts';

async function openFolder(page: Page, folder: string): Promise<void> {
  await page.getByRole('button', { name: /^Model:/ }).click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Open a folder' }).click();
  await (await chooser).setFiles(folder);
}

/** What the operating system does when a folder is dragged over the page and let go. */
async function drop(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    if (type === 'drop') await expect(page.getByText('Drop a model folder or its files')).toBeVisible();
    await session.send('Input.dispatchDragEvent', {
      type,
      x: 600,
      y: 400,
      data: { items: [], files: [path], dragOperationsMask: 1 },
    });
  }
}

test('both shipped models write, and say honestly what they are', async ({ page, writer }) => {
  await writer.visit();
  await writer.setLength(32);
  await writer.write();
  await expect(page.getByRole('contentinfo')).toContainText('RWKV-7');
  await page.getByRole('button', { name: /^Model:/ }).click();
  const cards = page.getByRole('dialog').getByRole('listitem');
  await expect(cards).toHaveCount(2);
  for (const card of await cards.all()) {
    await expect(card).toContainText(/English/);
    await expect(card).toContainText(/\d MB/);
    await expect(card).toContainText(/million parameters/);
  }
  await page.keyboard.press('Escape');
  const before = await writer.read();
  await writer.chooseModel(mamba);
  await expect(page.getByRole('contentinfo')).toContainText('Mamba-1');
  await writer.write(); // the other model reads what the first one wrote
  expect((await writer.read()).startsWith(before.trimEnd())).toBe(true);
  expect((await writer.read()).length).toBeGreaterThan(before.length + 20);
});

test('a dropped model folder loads and writes', async ({ page, writer }) => {
  await writer.visit();
  await writer.setLength(32);
  await drop(page, shippedModel('fairy-mamba'));
  await writer.modelIs('fairy-mamba');
  await expect(page.getByRole('contentinfo')).toContainText('Mamba-1');
  await writer.write();
  expect((await writer.read(writer.models)).length).toBeGreaterThan(20);
});

test('a folder can be opened with the keyboard', async ({ page, writer }) => {
  await writer.visit();
  await openFolder(page, shippedModel('fairy-mamba'));
  await expect(page.getByRole('contentinfo')).toContainText('Mamba-1');
});

test('a broken model file gives one readable sentence, and the page lives on', async ({ page, writer }) => {
  const broken = truncatedModel('fairy-rwkv7');
  await writer.visit();
  await writer.setLength(32);
  await writer.write();
  const before = await writer.read();
  await openFolder(page, broken.folder);
  await expect(writer.problem).toContainText('“half-a-model” could not be loaded: a file ends too early');
  await expect(writer.problem.getByText('Details')).toBeVisible();
  await writer.modelIs(rwkv);
  expect(await writer.read()).toBe(before);
  await writer.button('Dismiss').click();
  await writer.button(/^Continue/).click();
  await expect.poll(async () => (await writer.read()).length).toBeGreaterThan(before.length);
  await writer.finished();
  broken.remove();
});

test('files that are no model are refused with what would help', async ({ page, writer }) => {
  await writer.visit();
  await page.getByRole('button', { name: /^Model:/ }).click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Open files' }).click();
  await (await chooser).setFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('Dear diary') });
  await expect(writer.problem).toContainText('“notes.txt” could not be loaded');
  await expect(writer.problem).toContainText(/Add the weights/);
  await page.getByRole('button', { name: /^Model:/ }).click();
  await expect(page.getByRole('dialog').getByRole('listitem')).toHaveCount(2);
});

test('a GGUF file opens by itself; one without a tokenizer says what to add, and is completed by it', async ({
  page,
  writer,
}) => {
  const chooseFiles = async (files: string | { name: string; mimeType: string; buffer: Buffer }) => {
    await page.getByRole('button', { name: /^Model:/ }).click();
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open files' }).click();
    await (await chooser).setFiles(files);
  };
  await writer.visit();
  await chooseFiles(goldenFile('gguf/mamba.gguf'));
  await writer.modelIs('mamba.gguf');
  await expect(page.getByRole('contentinfo')).toContainText('Mamba-1');
  await expect(writer.problem).toContainText('“mamba.gguf” came without a tokenizer');
  await expect(writer.problem).toContainText('rwkv_vocab_v20230424.txt');
  await writer.button('Dismiss').click();
  // One token for each letter, as RWKV's vocabulary files write them.
  const letters = Array.from({ length: 95 }, (_, i) => JSON.stringify(String.fromCharCode(32 + i)));
  const vocabulary = letters.map((letter, i) => `${i + 1} ${letter} 1\n`).join('');
  await chooseFiles({ name: 'rwkv_vocab_v20230424.txt', mimeType: 'text/plain', buffer: Buffer.from(vocabulary) });
  await expect(writer.problem).toBeEmpty();
  await writer.modelIs('mamba.gguf');
  await page.getByRole('button', { name: /^Model:/ }).click();
  await expect(page.getByRole('dialog').getByRole('listitem')).toHaveCount(3);
});

test.describe('on a slow line', () => {
  test.use({ serviceWorkers: 'block' });

  test('a load can be cancelled, and the model before stays', async ({ page, writer }) => {
    await writer.visit();
    await page.route('**/fairy-mamba/model.safetensors', () => {}); // an answer that never comes
    await page.getByRole('button', { name: /^Model:/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: mamba }).click();
    await expect(page.getByRole('progressbar', { name: `Loading ${mamba}` })).toBeVisible();
    await writer.button('Cancel').click();
    await expect(page.getByRole('progressbar')).toHaveCount(0);
    await writer.modelIs(rwkv);
    await writer.setLength(32);
    await writer.write();
    await expect(writer.problem).toBeEmpty();
  });

  test('the first load can be cancelled and begun again', async ({ page, writer }) => {
    await page.route('**/fairy-rwkv7/model.safetensors', () => {});
    await page.goto('');
    await expect(page.getByRole('progressbar', { name: `Loading ${rwkv}` })).toBeVisible();
    await writer.button('Cancel').click();
    await expect(page.getByText('No model is loaded.')).toBeVisible();
    await page.unroute('**/fairy-rwkv7/model.safetensors');
    await writer.chooseModel(rwkv);
    await writer.setLength(32);
    await writer.write();
  });
});

test('a model that is not there is said in one sentence', async ({ page, writer, watch }) => {
  watch.expected.push(/404/);
  await page.route('**/models/catalog.json', (route) => route.fulfill({ json: [{ id: 'nowhere', name: 'nowhere' }] }));
  await page.goto('');
  await expect(writer.problem).toContainText('“nowhere” could not be loaded');
  await expect(writer.button('Load it again')).toBeVisible();
});
