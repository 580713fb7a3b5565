import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { Icon } from './icon';
export function Button({ icon, kind = 'plain', iconOnly = false, children, type = 'button', class: extra, ...rest }) {
    const classes = ['button', `button-${kind}`, iconOnly ? 'button-icon' : '', extra ?? ''].filter(Boolean).join(' ');
    return (_jsxs("button", { ...rest, type: type, class: classes, children: [icon && _jsx(Icon, { name: icon }), _jsx("span", { class: iconOnly ? 'visually-hidden' : 'button-label', children: children })] }));
}
