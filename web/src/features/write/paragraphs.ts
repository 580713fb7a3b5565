// From passages to paragraphs: a person's words and the model's may share one.
import type { Passage } from '../../state/story';

export interface Fragment {
  readonly passage: Passage;
  /** Where the passage stands in its version. */
  readonly index: number;
  readonly text: string;
  /** The last fragment of its passage. */
  readonly ends: boolean;
}

export function paragraphsOf(passages: readonly Passage[], from: number, to: number): Fragment[][] {
  const paragraphs: Fragment[][] = [];
  let open: Fragment[] | null = null;
  for (let index = from; index < to; index++) {
    const passage = passages[index] as Passage;
    const parts = passage.text.split(/\n\s*\n\s*/);
    const lastFilled = parts.findLastIndex((part) => part !== '');
    for (const [at, text] of parts.entries()) {
      if (at > 0) open = null;
      if (text === '' && !(lastFilled < 0 && at === 0)) continue;
      if (!open) {
        open = [];
        paragraphs.push(open);
      }
      open.push({ passage, index, text: open.length === 0 ? text.trimStart() : text, ends: at === Math.max(0, lastFilled) });
    }
    if (parts.length > 1 && parts.at(-1) === '') open = null;
  }
  return paragraphs;
}
