import type { ComponentChildren, JSX } from 'preact';
import { Icon, type IconName } from './icon';

type Props = Omit<JSX.IntrinsicElements['button'], 'icon'> & {
  icon?: IconName;
  kind?: 'plain' | 'primary' | 'quiet';
  /** Only the icon is shown; `children` are its name. */
  iconOnly?: boolean;
  children: ComponentChildren;
};

export function Button({
  icon,
  kind = 'plain',
  iconOnly = false,
  children,
  type = 'button',
  class: extra,
  ...rest
}: Props) {
  const classes = ['button', `button-${kind}`, iconOnly ? 'button-icon' : '', extra ?? ''].filter(Boolean).join(' ');
  return (
    <button {...rest} type={type} class={classes}>
      {icon && <Icon name={icon} />}
      <span class={iconOnly ? 'visually-hidden' : 'button-label'}>{children}</span>
    </button>
  );
}
