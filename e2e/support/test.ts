// A page that is watched: whatever a test is about, no policy may be broken and no error may go unhandled.

import { test as base, expect, type Locator, type Page } from '@playwright/test';
import { rwkv } from './models.ts';

export { expect };

/** The writing place, in the words of a person who uses it. */
export class Writer {
  readonly page: Page;
  readonly draft: Locator;
  /** All words of the text, and those of each author. */
  readonly text: Locator;
  readonly mine: Locator;
  readonly models: Locator;
  readonly stop: Locator;
  readonly facts: Locator;
  readonly problem: Locator;

  constructor(page: Page) {
    this.page = page;
    this.draft = page.locator('#draft');
    this.text = page.locator('.words');
    this.mine = page.locator('.words-person');
    this.models = page.locator('.words-model');
    this.stop = page.getByRole('button', { name: 'Stop' });
    this.facts = page.locator('.facts-last');
    this.problem = page.getByRole('alert');
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name, exact: typeof name === 'string' });
  }

  /** Opens the page and waits until the default model is there. */
  async visit(address = ''): Promise<void> {
    await this.page.goto(address);
    await this.modelIs(rwkv);
  }

  /** Fields for a text that never ends by itself: the likeliest word every time leads this model into a refrain. */
  async visitForLongText(tokens: number): Promise<void> {
    const fields = 'prompt=There%20was%20once%20a%20king&temperature=0&repetition_penalty=1';
    await this.visit(`#${fields}&max_tokens=${tokens}`);
  }

  async modelIs(name: string): Promise<void> {
    await expect(this.page.getByRole('button', { name: `Model: ${name}` })).toBeVisible();
  }

  async chooseModel(name: string): Promise<void> {
    await this.page.getByRole('button', { name: /^Model:/ }).click();
    await this.page
      .getByRole('dialog')
      .locator('.card', { has: this.page.getByText(name, { exact: true }) })
      .click();
    await this.modelIs(name);
  }

  /** Writes from the present draft, and waits for the end. */
  async write(): Promise<void> {
    await this.draft.press('Enter');
    await this.finished();
  }

  async finished(): Promise<void> {
    await expect(this.stop).toHaveCount(0);
    await expect(this.facts).toBeVisible();
  }

  /** The text as it stands there, without the page's own signs. */
  async read(words: Locator = this.text): Promise<string> {
    return (await words.allTextContents()).join('');
  }

  /** The same without white space, which is not shown at the edges of paragraphs. */
  async letters(words: Locator = this.text): Promise<string> {
    return (await this.read(words)).replace(/\s+/g, '');
  }

  async setLength(tokens: number): Promise<void> {
    await this.button('How it writes').click();
    await this.page.getByLabel('Length').fill(String(tokens));
    await this.page.keyboard.press('Escape');
  }
}

declare global {
  interface Window {
    policyViolations: string[];
  }
}

interface Watch {
  /** Messages that the test itself provokes. */
  readonly expected: RegExp[];
}

export const test = base.extend<{ writer: Writer; watch: Watch }>({
  watch: [
    async ({ page }, use) => {
      const seen: string[] = [];
      const watch: Watch = { expected: [] };
      page.on('pageerror', (error) => seen.push(`unhandled: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') seen.push(`console: ${message.text()}`);
      });
      await page.addInitScript(() => {
        window.policyViolations = [];
        addEventListener('securitypolicyviolation', (event) => {
          window.policyViolations.push(`${event.violatedDirective}: ${event.blockedURI}`);
        });
      });
      await use(watch);
      expect(await page.evaluate(() => window.policyViolations)).toEqual([]);
      expect(seen.filter((line) => !watch.expected.some((pattern) => pattern.test(line)))).toEqual([]);
    },
    { auto: true },
  ],
  writer: async ({ page }, use) => {
    await use(new Writer(page));
  },
});
