import { memo } from 'preact/compat';
import { pointed } from '../../state/pointed';
import { margin } from '../../state/screen';
import { story, type Version } from '../../state/story';
import { writing } from '../../state/writing';
import { Icon } from '../../ui/icon';
import type { Fragment } from './paragraphs';
import { Tools } from './tools';

interface Props {
  version: string;
  fragments: readonly Fragment[];
  /** There is room beside this text for tools that follow the pointer. */
  alone: boolean;
}

const sameFragments = (before: Props, after: Props): boolean =>
  before.version === after.version &&
  before.alone === after.alone &&
  before.fragments.length === after.fragments.length &&
  before.fragments.every((one, at) => {
    const other = after.fragments[at];
    return other !== undefined && one.passage === other.passage && one.text === other.text && one.index === other.index;
  });

/** One paragraph, and below or beside it the tools of the passage that is pointed at. */
export const Paragraph = memo(function Paragraph({ version, fragments, alone }: Props) {
  const at = pointed.value;
  const chosen =
    at?.version === version ? fragments.find(({ passage, ends }) => ends && passage.id === at.passage) : undefined;
  return (
    <div class="paragraph">
      <p>
        {fragments.map((fragment) => (
          <Words
            key={fragment.passage.id}
            version={version}
            fragment={fragment}
            alone={alone}
            isPointed={at?.passage === fragment.passage.id}
          />
        ))}
      </p>
      {chosen && <Tools version={versionOf(version)} index={chosen.index} passage={chosen.passage} />}
    </div>
  );
}, sameFragments);

const versionOf = (id: string): Version => story.value.versions.find((version) => version.id === id) as Version;

function Words({
  version,
  fragment,
  alone,
  isPointed,
}: {
  version: string;
  fragment: Fragment;
  alone: boolean;
  isPointed: boolean;
}) {
  const { passage, text, ends } = fragment;
  const point = () => {
    if (!writing.value) pointed.value = { version, passage: passage.id };
  };
  const onPointerEnter = () => alone && margin.value && point();
  return (
    // The mark behind the words is the same for the keyboard and for screen readers.
    // biome-ignore lint/a11y/noStaticElementInteractions: the mark is the control
    // biome-ignore lint/a11y/useKeyWithClickEvents: the mark is the control
    <span
      class={`words words-${passage.author} ${isPointed ? 'is-pointed' : ''}`}
      onPointerEnter={onPointerEnter}
      onClick={point}
    >
      {text}
      {ends && <Mark passage={fragment} isPointed={isPointed} onFocus={point} />}
    </span>
  );
}

function Mark({ passage, isPointed, onFocus }: { passage: Fragment; isPointed: boolean; onFocus: () => void }) {
  const isModel = passage.passage.author === 'model';
  return (
    <button
      type="button"
      class="mark"
      aria-expanded={isPointed}
      aria-label={isModel ? 'Written by the model: what to do with it' : 'Written by you: what to do with it'}
      onFocus={onFocus}
      onClick={onFocus}
    >
      <Icon name={isModel ? 'pilcrow' : 'write'} />
    </button>
  );
}
