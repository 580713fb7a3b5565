// One line that is always true: what runs, on what, how fast, and that nothing leaves.
import type { SutraModel } from 'sutra-web';
import { loading, memoryBytes, ready } from '../../state/engine';
import { type Offline, offline } from '../../state/offline';
import { lastSpeed, writing } from '../../state/writing';
import { architecture, artefact, bytes, growth, plural, speed } from '../../ui/format';
import { Hint } from '../../ui/hint';

export function StatusLine() {
  const now = ready.value;
  return (
    <footer class="status figures">
      {now ? (
        <Facts name={now.choice.name} model={now.model} />
      ) : (
        <p class="status-part">{loading.value ? 'Loading…' : 'No model'}</p>
      )}
      <span class="status-group status-end">
        <OfflinePart />
      </span>
    </footer>
  );
}

function Facts({ name, model }: { name: string; model: SutraModel }) {
  const { info, runtime } = model;
  const perS = writing.value?.tokensPerS || lastSpeed.value;
  return (
    <>
      <span class="status-group">
        <Hint
          class="status-part"
          explains={`The model in use. It was loaded once and runs inside this page; it has ${plural(info.parameters, 'parameter')}.`}
        >
          {name}
        </Hint>
        <Hint
          class="status-part status-spare"
          explains="The kind of model: a recurrent network, whose memory keeps the same small size however long the text becomes."
        >
          {architecture(info.architecture)}
        </Hint>
        <Hint
          class="status-part status-spare"
          explains="How exactly its numbers are stored. Fewer bits make a model smaller and quicker, and a little less exact."
        >
          {info.quantisation.split(',')[0]}
        </Hint>
        <Hint class="status-part status-spare" explains="Size of the model in memory.">
          {bytes(info.bytes)}
        </Hint>
      </span>
      <span class="status-group status-spare">
        <Hint
          class="status-part"
          explains={
            runtime.threads > 1
              ? 'Processor threads that share the work.'
              : 'One processor thread does the work. “This device” says why there are no more.'
          }
        >
          {plural(runtime.threads, 'thread')}
        </Hint>
        <Hint class="status-part" explains={runtime.why}>
          {artefact(runtime.artefact)}
        </Hint>
      </span>
      <span class="status-group">
        {perS > 0 && (
          <Hint
            class="status-part"
            explains="Speed of the latest writing. A token is a word or a part of one. The speed is the same at the first token and at the ten-thousandth."
          >
            {speed(perS)} tok/s
          </Hint>
        )}
        {memoryBytes.value > 0 && (
          <Hint
            class="status-part status-spare"
            explains={`Memory of the whole engine. A text takes ${bytes(info.stateBytes)} of it, ${growth(info)}.`}
          >
            {bytes(memoryBytes.value)}
          </Hint>
        )}
      </span>
    </>
  );
}

const OFFLINE: Record<Offline, { says: string; explains: string }> = {
  waiting: {
    says: 'nothing is sent',
    explains: 'What you write stays in this page. The copy that works without a network is being prepared.',
  },
  ready: {
    says: 'offline-ready',
    explains:
      'The page and the model are kept in this browser: it works without a network. What you write is never sent anywhere.',
  },
  'page only': {
    says: 'offline-ready',
    explains:
      'The page is kept in this browser and works without a network. The model came from your files: open them again next time.',
  },
  none: {
    says: 'nothing is sent',
    explains: 'What you write stays in this page. This browser keeps no copy of the page for times without a network.',
  },
};

function OfflinePart() {
  const { says, explains } = OFFLINE[offline.value];
  return (
    <Hint class="status-part" explains={explains}>
      {says}
    </Hint>
  );
}
