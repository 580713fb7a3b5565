import { update, updateWaits } from '../../state/offline';
import { type Problem, problem } from '../../state/problem';
import { Button } from '../../ui/button';
import { Icon } from '../../ui/icon';

/** What went wrong, and what is new. Both stay until they are answered. */
export const Notices = () => (
  <div class="notices">
    <div role="alert">{problem.value && <ProblemNotice problem={problem.value} />}</div>
    {updateWaits.value && <UpdateNotice />}
  </div>
);

function ProblemNotice({ problem: { sentence, hint, details, action } }: { problem: Problem }) {
  const dismiss = () => {
    problem.value = null;
  };
  const act = () => {
    dismiss();
    action?.run();
  };
  return (
    <section class="notice">
      <Icon name="warning" />
      <div class="notice-body">
        <p class="notice-sentence">{sentence}</p>
        {hint && <p>{hint}</p>}
        <details>
          <summary>Details</summary>
          <pre>{details}</pre>
        </details>
        {action && <Button onClick={act}>{action.label}</Button>}
      </div>
      <Button icon="close" iconOnly kind="quiet" onClick={dismiss}>
        Dismiss
      </Button>
    </section>
  );
}

function UpdateNotice() {
  const later = () => {
    updateWaits.value = false;
  };
  return (
    <section class="notice" aria-label="Update">
      <Icon name="save" />
      <div class="notice-body">
        <p class="notice-sentence">A new version of this page is ready. Your text stays.</p>
        <div class="dialog-actions">
          <Button onClick={later}>Later</Button>
          <Button kind="primary" onClick={() => void update()}>
            Reload now
          </Button>
        </div>
      </div>
    </section>
  );
}
