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

/** White space at the edges of a paragraph is not shown; the passages keep it. */
function trimmed(paragraph: readonly Fragment[]): Fragment[] {
  const last = paragraph.length - 1;
  return paragraph.map((fragment, at) => {
    const begun = at === 0 ? fragment.text.trimStart() : fragment.text;
    return { ...fragment, text: at === last ? begun.trimEnd() : begun };
  });
}

/** A break may begin in one passage and end in the next, wherever the model was stopped: it is looked for in the whole. */
export function paragraphsOf(passages: readonly Passage[], from: number, to: number): Fragment[][] {
  const whole = passages.slice(from, to).map((passage) => passage.text);
  const paragraphs: Omit<Fragment, 'ends'>[][] = [];
  let index = from;
  let left = whole[0]?.length ?? 0;
  for (const [at, piece] of whole
    .join('')
    .split(/(\n\s*\n\s*)/)
    .entries()) {
    const isBreak = at % 2 === 1;
    const paragraph: Omit<Fragment, 'ends'>[] = [];
    for (let rest = piece; rest !== ''; ) {
      while (left === 0) left = (whole[++index - from] as string).length;
      const text = rest.slice(0, left);
      paragraph.push({ passage: passages[index] as Passage, index, text });
      rest = rest.slice(text.length);
      left -= text.length;
    }
    if (!isBreak && piece.trim() !== '') paragraphs.push(paragraph);
  }
  const last = new Map(paragraphs.flat().map((fragment) => [fragment.index, fragment]));
  return paragraphs.map((paragraph) =>
    trimmed(paragraph.map((fragment) => ({ ...fragment, ends: last.get(fragment.index) === fragment }))),
  );
}
