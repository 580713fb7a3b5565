import { amend, OPENING, story } from '../../state/story';

const OTHERS = [
  OPENING,
  'There was once a king who had three daughters, and the youngest',
  '“Mother,” said the little hare, “who lives in the moon?”',
  'One morning Tom found a small green door in the wall of the garden.',
];

/** First sentences for whoever has none at hand. */
export const Beginnings = () => (
  <section class="beginnings" aria-labelledby="beginnings-heading">
    <h2 id="beginnings-heading">Or begin with</h2>
    <ul>
      {OTHERS.filter((sentence) => sentence !== story.value.draft).map((sentence) => (
        <li key={sentence}>
          <button type="button" class="beginning" onClick={() => choose(sentence)}>
            {sentence}
          </button>
        </li>
      ))}
    </ul>
    <p class="soft">It is written in this page, by a small model on this device. Nothing you write is sent anywhere.</p>
  </section>
);

function choose(sentence: string): void {
  amend({ draft: sentence });
  document.querySelector<HTMLTextAreaElement>('#draft')?.focus();
}
