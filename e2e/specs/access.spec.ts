import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from '../support/test.ts';

const findings = async (page: Page) =>
  (await new AxeBuilder({ page }).analyze()).violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`,
  );

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe has no finding in the ${colorScheme} theme`, async ({ page, writer }) => {
    test.slow(); // six looks at the whole page
    await page.emulateMedia({ colorScheme });
    await writer.visit();
    expect(await findings(page)).toEqual([]);
    await writer.setLength(32);
    await writer.write();
    await writer.models.first().locator('.mark').hover();
    await expect(page.getByRole('group', { name: 'This passage' })).toBeVisible();
    expect(await findings(page)).toEqual([]);
    await writer.button('How it writes').click();
    expect(await findings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Model:/ }).click();
    expect(await findings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await writer.button('Branch').click();
    await writer.finished();
    expect(await findings(page)).toEqual([]);
    await page.getByRole('link', { name: 'This device' }).click();
    await expect(page.getByRole('heading', { name: 'What this browser offers' })).toBeVisible();
    expect(await findings(page)).toEqual([]);
  });
}

test('a story with the keyboard alone', async ({ page, writer }) => {
  await writer.visit();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('A cat sat by the river');
  await page.keyboard.press('Control+Enter');
  await writer.finished();
  await expect(writer.draft).toBeFocused();
  // Back to the passage that the model wrote, and to another one in its place.
  const first = await writer.read(writer.models);
  const mark = page.getByRole('button', { name: 'Written by the model: what to do with it' }).first();
  for (let presses = 0; presses < 20 && !(await mark.evaluate((node) => node === document.activeElement)); presses++) {
    await page.keyboard.press('Shift+Tab');
  }
  await expect(mark).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(writer.page.getByRole('group').getByRole('button', { name: 'Try again' })).toBeFocused();
  await page.keyboard.press('Enter');
  await writer.finished();
  expect(await writer.read(writer.models)).not.toBe(first);
  await page.keyboard.press('Tab');
  await page.keyboard.press('/');
  await expect(writer.draft).toBeFocused();
});

test('sentences are spoken, not tokens', async ({ page, writer }) => {
  await writer.visit();
  await page.evaluate(() => {
    const spoken: string[] = [];
    Object.assign(window, { spoken });
    const region = document.querySelector('[aria-live="polite"]') as Element;
    new MutationObserver(() => spoken.push(region.textContent ?? '')).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await writer.write();
  const spoken = await page.evaluate(() => (window as unknown as { spoken: string[] }).spoken);
  const tokens = Number(/(\d+) tokens(?!\/)/.exec((await writer.facts.textContent()) ?? '')?.[1]);
  expect(spoken.length).toBeGreaterThan(1);
  expect(spoken.length).toBeLessThan(tokens / 4);
  expect(spoken.at(-1)).toMatch(/Reached the set length|Ended by the model/);
});

for (const [name, width, height] of [
  ['a phone of 360 px', 360, 640],
  ['200 % zoom', 640, 400],
] as const) {
  test(`no sideways scroll on ${name}`, async ({ page, writer }) => {
    const overflow = () =>
      page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.setViewportSize({ width, height });
    await writer.visit();
    expect(await overflow()).toBe(0);
    await writer.setLength(48);
    await writer.draft.fill(`${'unbreakable'.repeat(12)} `);
    await writer.write();
    // The signs stand wherever a line ends: in some of these widths at the margin.
    for (const narrower of [0, 5, 10, 15, 20, 25, 30, 35, 40]) {
      await page.setViewportSize({ width: width - narrower, height });
      expect(await overflow()).toBe(0);
    }
    await page.setViewportSize({ width, height });
    await writer.button('Branch').click();
    await writer.finished();
    expect(await overflow()).toBe(0);
    await page.getByRole('link', { name: 'This device' }).click();
    await expect(page.getByRole('heading', { name: 'What this browser offers' })).toBeVisible();
    expect(await overflow()).toBe(0);
  });
}

test('the first word needs no scrolling on a phone', async ({ page, writer }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await writer.visit();
  await writer.setLength(16);
  await expect(writer.button(/^Write/)).toBeInViewport({ ratio: 1 });
  await writer.button(/^Write/).click();
  await expect(writer.models.first()).toBeInViewport();
  await writer.finished();
});

test('targets for a finger are large enough', async ({ page, writer }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await writer.visit();
  await writer.setLength(32);
  await writer.write();
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('.button, .rail-place, .tab')]
      .filter((element) => element.checkVisibility())
      .map((element) => ({ name: element.textContent, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width < 44 || box.height < 44)
      .map(({ name }) => name),
  );
  expect(small).toEqual([]);
});

test('the page does not move while somebody reads further up', async ({ page, writer }) => {
  await page.setViewportSize({ width: 640, height: 400 });
  await writer.visitForLongText(1024);
  await writer.draft.press('Enter');
  await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(100); // it follows the end
  // One turn of the wheel is a distance: where the page followed the text in the same moment, it ends below the top.
  await expect
    .poll(async () => {
      await page.mouse.wheel(0, -2000);
      return page.evaluate(() => scrollY);
    })
    .toBe(0);
  const length = (await writer.read()).length;
  await expect.poll(async () => (await writer.read()).length).toBeGreaterThan(length + 100);
  expect(await page.evaluate(() => scrollY)).toBe(0);
  await page.keyboard.press('Escape');
});
