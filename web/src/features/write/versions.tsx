import { wide } from '../../state/screen';
import { activeVersion, commit, select, sharedLength, story, type Version, withoutVersion } from '../../state/story';
import { wordsOf, writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { plural } from '../../ui/format';
import { Composer } from './composer';
import { Paragraph } from './paragraph';
import { type Fragment, paragraphsOf } from './paragraphs';

const keyOf = (paragraph: readonly Fragment[]): string =>
  `${paragraph[0]?.passage.id}:${paragraph[0]?.text.slice(0, 12)}`;

function Paragraphs({ version, from, to, alone }: { version: Version; from: number; to: number; alone: boolean }) {
  return paragraphsOf(version.passages, from, to).map((fragments) => (
    <Paragraph key={keyOf(fragments)} version={version.id} fragments={fragments} alone={alone} />
  ));
}

/** The text: one column while there is one version; else the shared beginning, and the endings side by side. */
export function Versions() {
  const { versions } = story.value;
  const version = activeVersion.value;
  if (versions.length === 1) {
    return (
      <article class="column" aria-label="Your text">
        <Paragraphs version={version} from={0} to={version.passages.length} alone />
        <Composer />
      </article>
    );
  }
  const shared = sharedLength.value;
  const shown = wide.value ? versions : [version];
  return (
    <>
      <article class="column column-shared" aria-label="The beginning that all versions share">
        <Paragraphs version={version} from={0} to={shared} alone />
      </article>
      {!wide.value && <Tabs />}
      <div class="versions">
        {shown.map((one) => (
          <Ending key={one.id} version={one} from={shared} number={versions.indexOf(one) + 1} />
        ))}
      </div>
    </>
  );
}

function Ending({ version, from, number }: { version: Version; from: number; number: number }) {
  const isActive = version.id === activeVersion.value.id;
  return (
    <article class={`version ${isActive ? 'is-active' : ''}`} aria-label={`Version ${number}`}>
      {wide.value && (
        <header class="version-head">
          <h2>
            Version {number} <span class="figures soft">{plural(wordsOf(version), 'word')}</span>
          </h2>
          <Remove version={version} number={number} />
        </header>
      )}
      <Paragraphs version={version} from={from} to={version.passages.length} alone={false} />
      {isActive ? (
        <Composer />
      ) : (
        <Button icon="write" kind="quiet" disabled={writing.value !== null} onClick={() => select(version.id)}>
          Write on in version {number}
        </Button>
      )}
    </article>
  );
}

/** Phones show one version at a time. */
function Tabs() {
  const { versions } = story.value;
  const active = activeVersion.value;
  return (
    <div class="tabs">
      <ul class="tabs-list" aria-label="Versions">
        {versions.map((version, index) => (
          <li key={version.id}>
            <button
              type="button"
              class="tab"
              aria-current={version === active ? 'true' : undefined}
              onClick={() => select(version.id)}
            >
              Version {index + 1}
            </button>
          </li>
        ))}
      </ul>
      <Remove version={active} number={versions.indexOf(active) + 1} />
    </div>
  );
}

const Remove = ({ version, number }: { version: Version; number: number }) => (
  <Button
    icon="close"
    iconOnly
    kind="quiet"
    disabled={writing.value !== null}
    onClick={() => commit(withoutVersion(story.value, version.id))}
  >
    Remove version {number}
  </Button>
);
