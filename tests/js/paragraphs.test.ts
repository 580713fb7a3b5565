import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paragraphsOf } from '../../web/src/features/write/paragraphs.ts';

const passage = (text: string, at: number) => ({ id: String(at), author: 'model' as const, text });
const shown = (texts: readonly string[]) =>
  paragraphsOf(texts.map(passage), 0, texts.length).map((fragments) => fragments.map(({ text }) => text).join(''));

test('the same paragraphs wherever the text was stopped', () => {
  const text = '\n\nThere was a king.\n\n\u2018I am a king,\u2019\nhe said.\n \n\nThe end.\n\n';
  const paragraphs = ['There was a king.', '\u2018I am a king,\u2019\nhe said.', 'The end.'];
  assert.deepEqual(shown([text]), paragraphs);
  for (let first = 0; first <= text.length; first++)
    for (let second = first; second <= text.length; second++)
      assert.deepEqual(shown([text.slice(0, first), text.slice(first, second), text.slice(second)]), paragraphs);
});

test('fragments name their passage, and the last of each is marked', () => {
  const fragments = paragraphsOf(['before', 'One.\n\nTwo', ' and two.\n', '\n', 'Three.'].map(passage), 1, 5);
  const facts = fragments.map((paragraph) => paragraph.map(({ index, text, ends }) => [index, text, ends]));
  assert.deepEqual(facts, [
    [[1, 'One.', false]],
    [
      [1, 'Two', true],
      [2, ' and two.', true],
    ],
    [[4, 'Three.', true]],
  ]);
});

test('white space alone is no paragraph', () => {
  assert.deepEqual(shown([]), []);
  assert.deepEqual(shown(['', ' \n', '\n']), []);
});
