import { ready } from '../../state/engine';
import { type Check, checking, checks, runChecks } from '../../state/selftest';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { Icon } from '../../ui/icon';

const SAYS: Record<Check['state'], string> = {
  waiting: 'not checked yet',
  running: 'being checked',
  kept: 'kept',
  broken: 'broken',
};

export const SelfTest = () => (
  <section aria-labelledby="self-test-heading">
    <h2 id="self-test-heading">Whether it keeps its promises here</h2>
    <p class="soft">
      The engine compared its arithmetic with the plain reference when it started. This checks the loaded model as well.
    </p>
    <ul class="checks">
      {checks.value.map((check) => (
        <li key={check.promise} class={`check check-${check.state}`}>
          <span class="check-sign">
            {check.state === 'kept' && <Icon name="check" />}
            {check.state === 'broken' && <Icon name="warning" />}
          </span>
          <span>
            {check.promise}: <span class="soft">{SAYS[check.state]}</span>
            {check.details && <span class="check-details">{check.details}</span>}
          </span>
        </li>
      ))}
    </ul>
    <Button disabled={!ready.value || checking.value || writing.value !== null} onClick={() => void runChecks()}>
      Check
    </Button>
  </section>
);
