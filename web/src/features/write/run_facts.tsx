import type { Run } from '../../state/story';
import { sayEnding, speeds, writing } from '../../state/writing';
import { milliseconds, plural, speed } from '../../ui/format';
import { Sparkline } from '../../ui/sparkline';

/** Live, beside Stop. */
export function Running() {
  const now = writing.value;
  if (!now) return null;
  if (now.tokens === 0 && now.read < 1) {
    return <p class="facts figures">Reading what stands there, {Math.round(now.read * 100)} %</p>;
  }
  return (
    <p class="facts figures">
      <Sparkline values={speeds.value} />
      {now.tokensPerS > 0 && <span>{speed(now.tokensPerS)} tokens/s</span>}
      <span>{plural(now.tokens, 'token')}</span>
    </p>
  );
}

/** How the last stretch was written. */
export const LastRun = ({ run }: { run: Run }) => (
  <p class="facts facts-last figures">
    {speeds.value.length > 1 && <Sparkline values={speeds.value} />}
    {run.tokensPerS > 0 && <span>{speed(run.tokensPerS)} tokens/s</span>}
    <span>first after {milliseconds(run.firstTokenMs)}</span>
    <span>{plural(run.tokens, 'token')}</span>
    <span>{sayEnding(run.ending)}</span>
  </p>
);
