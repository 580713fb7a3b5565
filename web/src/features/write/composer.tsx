// Where the text ends and the next words begin: the person's line, and what the model is doing.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { loading, modelName, ready } from '../../state/engine';
import { touch } from '../../state/screen';
import { activeVersion, amend, isEmpty, story } from '../../state/story';
import { branchFrom, lastRun, startOfLastGo, stop, tryAgain, wanted, write, writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { bytes } from '../../ui/format';
import { ProgressBar } from '../../ui/progress_bar';
import { LastRun, Running } from './run_facts';

export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  const stopButton = useRef<HTMLDivElement>(null);
  const isWriting = writing.value !== null;
  const hadFocus = useRef(!touch.value);

  // The focus goes to Stop with the first word and comes back to the line with the last, if it was here at all.
  useEffect(() => {
    if (!hadFocus.current) return;
    if (isWriting) stopButton.current?.querySelector('button')?.focus({ preventScroll: true });
    else field.current?.focus({ preventScroll: true });
  }, [isWriting]);
  const onFocusIn = () => {
    hadFocus.current = !touch.value || isWriting;
  };

  return (
    <div class="composer" onFocusIn={onFocusIn}>
      {isWriting ? (
        <div class="actions" ref={stopButton}>
          <Button icon="stop" kind="primary" onClick={stop} aria-keyshortcuts="Escape">
            Stop <kbd>Esc</kbd>
          </Button>
          <Running />
        </div>
      ) : (
        <>
          {lastRun.value && <LastRun run={lastRun.value} />}
          <Line field={field} />
        </>
      )}
    </div>
  );
}

function Line({ field }: { field: { current: HTMLTextAreaElement | null } }) {
  const { draft } = story.value;
  const version = activeVersion.value;
  const onSubmit = (event: Event) => {
    event.preventDefault();
    void write();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void write();
  };
  const begins = version.passages.length === 0;
  return (
    <form class="line" onSubmit={onSubmit}>
      <label class="visually-hidden" for="draft">
        {begins ? 'Beginning of your text' : 'Your next words'}
      </label>
      <GrowingField
        field={field}
        value={draft}
        placeholder={begins ? 'Begin a story, or let the model begin…' : 'Your next words, or just continue…'}
        onKeyDown={onKeyDown}
      />
      <Rule />
      <div class="actions">
        <Button icon={draft.trim() === '' && !begins ? 'onward' : 'write'} kind="primary" type="submit" disabled={wanted.value}>
          {draft.trim() === '' && !begins ? 'Continue' : 'Write'} <kbd>↵</kbd>
        </Button>
        <AgainAndBranch />
        <Waiting />
      </div>
    </form>
  );
}

interface FieldProps {
  field: { current: HTMLTextAreaElement | null };
  value: string;
  placeholder: string;
  onKeyDown: (event: KeyboardEvent) => void;
}

/** A text field as high as its text. */
function GrowingField({ field, value, placeholder, onKeyDown }: FieldProps) {
  useLayoutEffect(() => {
    const element = field.current;
    if (!element || CSS.supports('field-sizing', 'content')) return;
    element.style.setProperty('height', 'auto');
    element.style.setProperty('height', `${element.scrollHeight}px`);
  }, [value]);
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
  if (now) {
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
  if (ready.value || modelName.value) return isEmpty.value ? <p class="waiting soft">{ready.value && 'It writes in this page; nothing is sent anywhere.'}</p> : null;
  return <p class="waiting soft">No model is loaded. Choose one above, or drop a model folder here.</p>;
}
