// A short fact whose plain explanation appears on hover and on focus.
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { placeNear } from './place_near';

export function Hint({
  explains,
  class: extra,
  children,
}: {
  explains: string;
  class?: string;
  children: ComponentChildren;
}) {
  const id = useId();
  const panel = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const show = () => {
    if (!panel.current || !button.current) return;
    panel.current.showPopover();
    placeNear(panel.current, button.current);
  };
  const hide = () => panel.current?.hidePopover();
  const onKeyDown = (event: KeyboardEvent) => event.key === 'Escape' && hide();
  return (
    <>
      <button
        ref={button}
        type="button"
        class={`hint ${extra ?? ''}`}
        aria-describedby={id}
        onPointerEnter={show}
        onPointerLeave={hide}
        onFocus={show}
        onBlur={hide}
        onClick={show}
        onKeyDown={onKeyDown}
      >
        {children}
      </button>
      <span ref={panel} id={id} role="tooltip" popover="manual" class="popover tooltip">
        {explains}
      </span>
    </>
  );
}
