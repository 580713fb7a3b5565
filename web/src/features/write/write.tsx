import { pointed } from '../../state/pointed';
import { canRedo, canUndo, isEmpty, redo, undo } from '../../state/story';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { ModelButton } from '../models/model_button';
import { More } from './more';
import { Sampling } from './sampling';
import { Versions } from './versions';

export function Write() {
  const busy = writing.value !== null;
  // A finger leaves whenever it is lifted; only a mouse that goes elsewhere is done with a passage.
  const leave = (event: PointerEvent) => {
    if (event.pointerType === 'mouse') pointed.value = null;
  };
  return (
    <section class="write" aria-labelledby="write-heading">
      <header class="write-bar">
        <h1 id="write-heading" class="visually-hidden">
          Write
        </h1>
        <ModelButton />
        <div class="write-bar-end">
          <Button icon="undo" iconOnly kind="quiet" disabled={busy || !canUndo.value} onClick={undo}>
            Undo
          </Button>
          <Button icon="redo" iconOnly kind="quiet" disabled={busy || !canRedo.value} onClick={redo}>
            Redo
          </Button>
          <Sampling />
          <More />
        </div>
      </header>
      <div class={`sheet ${isEmpty.value ? 'sheet-empty' : ''}`} id="text" onPointerLeave={leave}>
        <Versions />
      </div>
    </section>
  );
}
