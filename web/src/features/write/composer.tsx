// Where the text ends and the next words begin: the person's line, and what the model is doing.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { loading, ready } from '../../state/engine';
import { touch } from '../../state/screen';
import { activeVersion, amend, isEmpty, story } from '../../state/story';
import { branchFrom, lastRun, startOfLastGo, stop, tryAgain, wanted, write, writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { bytes } from '../../ui/format';
import { ProgressBar } from '../../ui/progress_bar';
import { Beginnings } from './beginnings';
import { LastRun, Running } from './run_facts';

const LINE = 'line';

/** The end of the active version; the actions stay in reach wherever the reader is. */
export function Composer() {
  const isWriting = writing.value !== null;
  const actions = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);

  // What had the focus goes away when the writing begins and when it ends: hand it on, not to the top of the page.
  useEffect(() => {
    if (touch.value || document.activeElement !== document.body) return;
    const next = isWriting ? actions.current?.querySelector('button') : field.current;
    next?.focus({ preventScroll: true });
  }, [isWriting]);

  if (isWriting) {
    return (
      <div class="actions" ref={actions}>
        <Button icon="stop" kind="primary" onClick={stop} aria-keyshortcuts="Escape">
          Stop <kbd>Esc</kbd>
        </Button>
        <Running />
      </div>
    );
  }
  return (
    <>
      {lastRun.value && <LastRun run={lastRun.value} />}
      <Line field={field} />
      <div class="actions">
        <WriteButton />
        <AgainAndBranch />
        <Waiting />
      </div>
      {isEmpty.value && <Beginnings />}
    </>
  );
}

function Line({ field }: { field: { current: HTMLTextAreaElement | null } }) {
  const begins = activeVersion.value.passages.length === 0;
  const onSubmit = (event: Event) => {
    event.preventDefault();
    void write();
  };
  return (
    <form id={LINE} class="line" onSubmit={onSubmit}>
      <label class="visually-hidden" for="draft">
        {begins ? 'Beginning of your text' : 'Your next words'}
      </label>
      <GrowingField
        field={field}
        value={story.value.draft}
        placeholder={begins ? 'Begin a story, or let the model begin…' : 'Your next words, or just continue…'}
      />
      <Rule />
    </form>
  );
}

interface FieldProps {
  field: { current: HTMLTextAreaElement | null };
  value: string;
  placeholder: string;
}

/** A text field as high as its text. Enter writes; with Shift it begins a new line. */
function GrowingField({ field, value, placeholder }: FieldProps) {
  useLayoutEffect(() => {
    const element = field.current;
    if (!element || CSS.supports('field-sizing', 'content')) return;
    element.style.setProperty('height', 'auto');
    element.style.setProperty('height', `${element.scrollHeight}px`);
  }, [value]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void write();
  };
  return (
    <textarea
      ref={field}
      id="draft"
      class="draft"
      rows={1}
      value={value}
      placeholder={placeholder}
      autocomplete="off"
      enterkeyhint="go"
      aria-keyshortcuts="Enter Control+Enter Meta+Enter /"
      onInput={(event) => amend({ draft: event.currentTarget.value })}
      onKeyDown={onKeyDown}
    />
  );
}

/** The line under the words; while a model is loading, it fills. */
function Rule() {
  const now = loading.value;
  if (!now) return <div class="rule" />;
  const known = (now.progress?.total ?? 0) > 0;
  return <ProgressBar fraction={known ? (now.progress?.fraction ?? 0) : null} label={`Loading ${now.choice.name}`} />;
}

function WriteButton() {
  const continues = activeVersion.value.passages.length > 0 && story.value.draft.trim() === '';
  return (
    <Button icon={continues ? 'onward' : 'write'} kind="primary" type="submit" form={LINE} disabled={wanted.value}>
      {continues ? 'Continue' : 'Write'} <kbd>↵</kbd>
    </Button>
  );
}

function AgainAndBranch() {
  const version = activeVersion.value;
  const start = startOfLastGo(version);
  if (start < 0 || !ready.value) return null;
  return (
    <>
      <Button icon="again" onClick={() => void tryAgain(version, start)}>
        Try again
      </Button>
      <Button icon="branch" onClick={() => void branchFrom(version, start)}>
        Branch
      </Button>
    </>
  );
}

/** One line on what is being waited for. */
function Waiting() {
  const now = loading.value;
  if (!now)
    return ready.value ? null : <p class="waiting soft">No model is loaded. Choose one above, or drop one here.</p>;
  const { progress } = now;
  const size = progress && progress.total > 0 ? `${bytes(progress.loaded)} of ${bytes(progress.total)}` : '';
  return (
    <p class="waiting figures">
      <span>{wanted.value ? `Writes as soon as ${now.choice.name} is here` : `Loading ${now.choice.name}`}</span>
      {size && <span class="soft">{size}</span>}
      <Button kind="quiet" onClick={now.cancel}>
        Cancel
      </Button>
    </p>
  );
}
