import { rwkv } from '../support/models.ts';
import { expect, test } from '../support/test.ts';

test('first visit to first story: one press of Enter', async ({ page, writer }) => {
  await page.goto('');
  await expect(writer.draft).toHaveValue(/^Once upon a time/);
  await expect(writer.draft).toBeFocused();
  await page.keyboard.press('Enter'); // the model may still be on its way: the wish is kept
  await writer.finished();
  // The seed is a new one every time, and with it the length: the model may end its text early.
  expect(await writer.read(writer.models)).toMatch(/\w+ \w+ \w+/);
  expect(await writer.read(writer.mine)).toMatch(/^Once upon a time/);
  await expect(writer.facts).toContainText(/\d tokens\/s/);
  await expect(writer.facts).toContainText(/first after \d+ ms/);
  await expect(writer.facts).toContainText(/Reached the set length|Ended by the model/);
});

test('Esc stops, and the text that stands there stays', async ({ page, writer }) => {
  await writer.visitForLongText(1024);
  await writer.draft.press('Enter');
  await expect(writer.models.first()).toContainText(/\w+ \w+/);
  await page.keyboard.press('Escape');
  await writer.finished();
  await expect(writer.facts).toContainText('Stopped by you');
  const text = await writer.read();
  await page.waitForTimeout(300);
  expect(await writer.read()).toBe(text);
});

test('Continue goes on where the text ended', async ({ writer }) => {
  await writer.visit();
  await writer.setLength(48);
  await writer.write();
  const before = await writer.read();
  await writer.button(/^Continue/).click();
  await expect.poll(async () => (await writer.read()).length).toBeGreaterThan(before.length);
  await writer.finished();
  expect((await writer.read()).startsWith(before.trimEnd())).toBe(true);
});

test('a stopped text continues exactly as if it had not been stopped', async ({ page, writer }) => {
  // The likeliest word every time: the text depends on the memory alone.
  await writer.visitForLongText(512);
  await writer.write();
  const whole = await writer.read();
  await writer.button('Undo').click();
  await writer.draft.press('Enter');
  await expect(writer.models.first()).toContainText(/\w+ \w+/);
  await page.keyboard.press('Escape');
  await expect(writer.facts).toContainText('Stopped by you');
  const part = await writer.read();
  await writer.button(/^Continue/).click();
  await expect(writer.facts).toContainText('Reached the set length');
  const again = await writer.read();
  expect(part.length).toBeLessThan(whole.length);
  expect(again.startsWith(whole.trimEnd())).toBe(true);
});

test('my own words go on after the model’s', async ({ writer }) => {
  await writer.visit();
  await writer.setLength(32);
  await writer.write();
  await writer.draft.fill('But then the fox came.');
  await writer.write();
  await expect(writer.mine).toHaveText([/^Once upon a time/, /^\s?But then the fox came\.$/]);
  await expect(writer.draft).toHaveValue('');
});

test('a link fills the fields and writes nothing by itself', async ({ page, writer }) => {
  await page.goto('#prompt=The%20moon%20%3Cb%3Erose%3C%2Fb%3E&temperature=0.3&seed=7');
  await writer.modelIs(rwkv);
  await expect(writer.draft).toHaveValue('The moon <b>rose</b>');
  await page.waitForTimeout(500);
  await expect(writer.text).toHaveCount(0);
  await writer.button('How it writes').click();
  await expect(page.getByLabel('Boldness')).toHaveValue('0.3');
  await expect(page.getByLabel('Seed')).toHaveValue('7');
});

test('markup in a text is only ever text', async ({ page, writer }) => {
  await writer.visit();
  await writer.setLength(16);
  await writer.draft.fill('<img src=x onerror="document.title=1"> said the page');
  await writer.write();
  await expect(writer.mine).toContainText('<img src=x');
  await expect(page.locator('.sheet img')).toHaveCount(0);
});
