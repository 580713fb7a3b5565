import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { useId, useRef } from 'preact/hooks';
import { Button } from './button';
import { placeNear } from './place_near';
export function Popover({ label, icon, iconOnly, class: extra, children }) {
    const id = useId();
    const panel = useRef(null);
    const anchor = useRef(null);
    const onToggle = (event) => {
        if (event.newState === 'open' && panel.current && anchor.current)
            placeNear(panel.current, anchor.current);
    };
    return (_jsxs("span", { ref: anchor, class: "popover-anchor", children: [_jsx(Button, { ...(icon ? { icon } : {}), ...(iconOnly ? { iconOnly } : {}), popovertarget: id, kind: "quiet", children: label }), _jsx("section", { ref: panel, id: id, popover: "auto", class: `popover ${extra ?? ''}`, "aria-label": label, onToggle: onToggle, children: children })] }));
}
/** Closes the popover around an element, as after choosing something in it. */
export const closePopover = (inside) => inside.closest('[popover]')?.hidePopover();
