import { jsx as _jsx, Fragment as _Fragment, jsxs as _jsxs } from "preact/jsx-runtime";
import { useId, useRef } from 'preact/hooks';
import { placeNear } from './place_near';
export function Hint({ explains, class: extra, children, }) {
    const id = useId();
    const panel = useRef(null);
    const button = useRef(null);
    const show = () => {
        if (!panel.current || !button.current)
            return;
        panel.current.showPopover();
        placeNear(panel.current, button.current);
    };
    const hide = () => panel.current?.hidePopover();
    const onKeyDown = (event) => event.key === 'Escape' && hide();
    return (_jsxs(_Fragment, { children: [_jsx("button", { ref: button, type: "button", class: `hint ${extra ?? ''}`, "aria-describedby": id, onPointerEnter: show, onPointerLeave: hide, onFocus: show, onBlur: hide, onClick: show, onKeyDown: onKeyDown, children: children }), _jsx("span", { ref: panel, id: id, role: "tooltip", popover: "manual", class: "popover tooltip", children: explains })] }));
}
