import { pointed } from '../../state/pointed';
import type { Passage, Version } from '../../state/story';
import { branchFrom, continueFrom, rewrite, tryAgain } from '../../state/writing';
import { Button } from '../../ui/button';

const done = (): void => {
  pointed.value = null;
};

/** What can be done from the memory before or after a passage. */
export function Tools({ version, index, passage }: { version: Version; index: number; passage: Passage }) {
  const onKeyDown = (event: KeyboardEvent) => event.key === 'Escape' && done();
  return (
    <fieldset class="tools" aria-label="This passage" onKeyDown={onKeyDown}>
      {passage.author === 'model' ? (
        <>
          <Button icon="again" kind="quiet" onClick={() => void tryAgain(version, index)}>
            Try again
          </Button>
          <Button icon="branch" kind="quiet" onClick={() => void branchFrom(version, index)}>
            Branch from here
          </Button>
          <Button icon="onward" kind="quiet" onClick={() => void continueFrom(version, index)}>
            Continue from here
          </Button>
        </>
      ) : (
        <Button icon="write" kind="quiet" onClick={() => rewrite(version, index)}>
          Rewrite
        </Button>
      )}
    </fieldset>
  );
}
