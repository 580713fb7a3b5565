import { useRef } from 'preact/hooks';
import { type CatalogEntry, type Choice, choices } from '../../state/catalog';
import { open, openFiles, ready } from '../../state/engine';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { architecture, bytes, parameters } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { folderName } from './dropped';

export function ModelDialog({ onClose }: { onClose: () => void }) {
  const choose = (choice: Choice) => {
    onClose();
    if (ready.value?.choice !== choice) void open(choice);
  };
  return (
    <Dialog title="Models" onClose={onClose}>
      <ul class="cards">
        {choices.value.map((choice) => (
          <li key={choice.key}>
            <Card choice={choice} isPresent={ready.value?.choice === choice} onChoose={() => choose(choice)} />
          </li>
        ))}
      </ul>
      <OwnFiles onDone={onClose} />
    </Dialog>
  );
}

const factsOf = (card: CatalogEntry): string[] =>
  [
    card.architecture && architecture(card.architecture),
    card.parameters && `${parameters(card.parameters)} parameters`,
    card.bytes && bytes(card.bytes),
    card.languages?.join(', '),
    card.licence,
  ].filter((fact): fact is string => typeof fact === 'string' && fact !== '');

const summaryOf = ({ summary }: CatalogEntry): string =>
  typeof summary === 'string' ? summary : [summary?.good, summary?.bad].filter(Boolean).join(' ');

function Card({ choice, isPresent, onChoose }: { choice: Choice; isPresent: boolean; onChoose: () => void }) {
  return (
    <button type="button" class="card" aria-pressed={isPresent} onClick={onChoose}>
      <span class="card-name">
        {choice.name}
        {isPresent && (
          <span class="card-present">
            <Icon name="check" /> in use
          </span>
        )}
      </span>
      <span class="card-summary">
        {choice.opened ? 'From files on this device, for this visit.' : summaryOf(choice.card)}
      </span>
      <span class="card-facts figures soft">{factsOf(choice.card).join(' · ')}</span>
    </button>
  );
}

/** The keyboard's way to what dropping does. */
function OwnFiles({ onDone }: { onDone: () => void }) {
  const folder = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const asFolder = (element: HTMLInputElement | null) => {
    folder.current = element;
    if (element) element.webkitdirectory = true;
  };
  const take = (event: Event) => {
    const chosen = [...((event.currentTarget as HTMLInputElement).files ?? [])];
    if (chosen.length === 0) return;
    onDone();
    void openFiles(folderName(chosen), chosen);
  };
  return (
    <div class="own-files">
      <p class="soft">
        Or a model of your own: drop its folder or its files anywhere on the page, or open them here. RWKV, Mamba and
        Llama models work, from Hugging Face folders, .gguf files, and .pth files with their vocabulary. The files stay
        on this device.
      </p>
      <div class="dialog-actions">
        <Button icon="folder" onClick={() => folder.current?.click()}>
          Open a folder
        </Button>
        <Button icon="files" onClick={() => files.current?.click()}>
          Open files
        </Button>
        <input ref={asFolder} type="file" hidden aria-label="Model folder" onChange={take} />
        <input ref={files} type="file" hidden multiple aria-label="Model files" onChange={take} />
      </div>
    </div>
  );
}
