// A panel that a button opens. Escape and a click elsewhere close it; focus goes back to the button.
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { Button } from './button';
import type { IconName } from './icon';
import { placeNear } from './place_near';

interface Props {
  label: string;
  icon?: IconName;
  iconOnly?: boolean;
  class?: string;
  children: ComponentChildren;
}

export function Popover({ label, icon, iconOnly, class: extra, children }: Props) {
  const id = useId();
  const panel = useRef<HTMLElement>(null);
  const anchor = useRef<HTMLSpanElement>(null);
  const onToggle = (event: { newState: string }) => {
    if (event.newState === 'open' && panel.current && anchor.current) placeNear(panel.current, anchor.current);
  };
  return (
    <span ref={anchor} class="popover-anchor">
      <Button {...(icon ? { icon } : {})} {...(iconOnly ? { iconOnly } : {})} popovertarget={id} kind="quiet">
        {label}
      </Button>
      <section
        ref={panel}
        id={id}
        popover="auto"
        class={`popover ${extra ?? ''}`}
        aria-label={label}
        onToggle={onToggle}
      >
        {children}
      </section>
    </span>
  );
}

/** Closes the popover around an element, as after choosing something in it. */
export const closePopover = (inside: Element): void => inside.closest<HTMLElement>('[popover]')?.hidePopover();
