import { useState } from 'preact/hooks';
import { loading, ready } from '../../state/engine';
import { Icon } from '../../ui/icon';
import { ModelDialog } from './model_dialog';

/** Which model writes, and the way to another one. */
export function ModelButton() {
  const [open, setOpen] = useState(false);
  const name = ready.value?.choice.name ?? (loading.value ? `Loading ${loading.value.choice.name}` : 'No model');
  return (
    <>
      <button
        type="button"
        class="button button-quiet model-button"
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <span class="visually-hidden">Model: </span>
        <span class="button-label">{name}</span>
        <Icon name="down" />
      </button>
      {open && <ModelDialog onClose={() => setOpen(false)} />}
    </>
  );
}
