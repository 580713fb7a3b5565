import { expect, test } from '../support/test.ts';

test.beforeEach(async ({ writer }) => {
  await writer.visit();
  await writer.setLength(48);
  await writer.write();
});

test('Try again gives another text, and Undo brings the old one back', async ({ writer }) => {
  const first = await writer.read();
  await writer.button('Try again').click();
  await expect(writer.stop.or(writer.facts)).toBeVisible();
  await writer.finished();
  const second = await writer.read();
  expect(second).not.toBe(first);
  expect(await writer.read(writer.mine)).toMatch(/^Once upon a time/);
  await writer.button('Undo').click();
  expect(await writer.read()).toBe(first);
  await writer.button('Redo').click();
  expect(await writer.read()).toBe(second);
});

test('Branch keeps both endings side by side', async ({ page, writer }) => {
  const first = await writer.letters(writer.models);
  await writer.button('Branch').click();
  await writer.finished();
  const one = page.getByRole('article', { name: 'Version 1' });
  const two = page.getByRole('article', { name: 'Version 2' });
  await expect(one).toBeVisible();
  await expect(two).toBeVisible();
  expect(await writer.letters(one.locator('.words-model'))).toBe(first);
  const other = await writer.letters(two.locator('.words-model'));
  expect(other.length).toBeGreaterThan(20);
  expect(other).not.toBe(first);
  // The beginning stands there once.
  await expect(writer.mine).toHaveCount(1);
  const [left, right] = [await one.boundingBox(), await two.boundingBox()];
  expect(left?.y).toBe(right?.y);
  await writer.button('Remove version 2').click();
  expect(await writer.letters(writer.models)).toBe(first);
});

test('phones show branches as tabs', async ({ page, writer }) => {
  const first = await writer.letters(writer.models);
  await page.setViewportSize({ width: 360, height: 640 });
  await writer.button('Branch').click();
  await writer.finished();
  const second = await writer.letters(writer.models);
  expect(second).not.toBe(first);
  await writer.button('Version 1').click();
  expect(await writer.letters(writer.models)).toBe(first);
  await writer.button('Version 2').click();
  expect(await writer.letters(writer.models)).toBe(second);
});

test('an earlier passage can be left for another, and nothing is lost', async ({ page, writer }) => {
  const first = await writer.letters(writer.models);
  await writer.button(/^Continue/).click();
  await expect.poll(async () => (await writer.letters(writer.models)).length).toBeGreaterThan(first.length);
  await writer.finished();
  const whole = await writer.letters();
  // On its mark: the box of a passage that begins within a line also covers the words before it.
  await writer.models.first().locator('.mark').hover();
  await page.getByRole('group', { name: 'This passage' }).getByRole('button', { name: 'Branch from here' }).click();
  await writer.finished();
  const version = page.getByRole('article', { name: 'Version 1' });
  const beginning = await writer.letters(page.locator('.column-shared .words'));
  expect(beginning + (await writer.letters(version.locator('.words')))).toBe(whole);
});

test('my own words can be written anew', async ({ page, writer }) => {
  await page.getByRole('button', { name: 'Written by you: what to do with it' }).focus();
  await page.getByRole('button', { name: 'Rewrite' }).click();
  await expect(writer.draft).toHaveValue(/^Once upon a time/);
  await expect(writer.text).toHaveCount(0);
});

test('the same seed writes the same text', async ({ page, writer }) => {
  const first = await writer.read();
  await writer.button('How it writes').click();
  await page.getByRole('button', { name: /^Use that of the last text/ }).click();
  await page.keyboard.press('Escape');
  await writer.button('Undo').click();
  await writer.write();
  expect(await writer.read()).toBe(first);
});
