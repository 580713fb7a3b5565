import { useState } from 'preact/hooks';
import { announce } from '../../state/announce';
import { stopSaving } from '../../state/autosave';
import { linkTo } from '../../state/place';
import { deleteEverything } from '../../state/storage';
import { activeVersion, commit, startOf, story, textOf } from '../../state/story';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { download } from '../../ui/download';
import { closePopover, Popover } from '../../ui/popover';

async function copy(text: string, said: string): Promise<void> {
  await navigator.clipboard.writeText(text);
  announce(said);
}

const firstWords = (): string =>
  activeVersion.value.passages.find((passage) => passage.author === 'person')?.text ?? story.value.draft;

export function More() {
  const [asks, setAsks] = useState(false);
  const busy = writing.value !== null;
  const choose = (act: () => unknown) => (event: Event) => {
    closePopover(event.currentTarget as Element);
    void act();
  };
  return (
    <>
      <Popover label="More" icon="more" iconOnly class="menu">
        <Button icon="page" kind="quiet" disabled={busy} onClick={choose(() => commit(startOf('')))}>
          New story
        </Button>
        <Button
          icon="copy"
          kind="quiet"
          onClick={choose(() => copy(textOf(activeVersion.value), 'The text is copied.'))}
        >
          Copy the text
        </Button>
        <Button icon="save" kind="quiet" onClick={choose(() => download('story.txt', textOf(activeVersion.value)))}>
          Save the text as a file
        </Button>
        <Button icon="link" kind="quiet" onClick={choose(() => copy(linkTo(firstWords()), 'The link is copied.'))}>
          Copy a link to this beginning
        </Button>
        <Button icon="trash" kind="quiet" onClick={choose(() => setAsks(true))}>
          Clear everything…
        </Button>
      </Popover>
      {asks && <ClearEverything onClose={() => setAsks(false)} />}
    </>
  );
}

async function clear(): Promise<void> {
  stopSaving();
  await deleteEverything();
  location.reload();
}

const ClearEverything = ({ onClose }: { onClose: () => void }) => (
  <Dialog title="Clear everything?" onClose={onClose}>
    <p>
      Your text, all its versions, the settings, the downloaded models and the offline copy of this page are deleted
      from this browser. They were never anywhere else, so nothing brings them back.
    </p>
    <div class="dialog-actions">
      <Button onClick={onClose}>Keep it</Button>
      <Button kind="primary" icon="trash" onClick={() => void clear()}>
        Clear everything
      </Button>
    </div>
  </Dialog>
);
