import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
import { useState } from 'preact/hooks';
import { loading, ready } from '../../state/engine';
import { Icon } from '../../ui/icon';
import { ModelDialog } from './model_dialog';
/** Which model writes, and the way to another one. */
export function ModelButton() {
    const [open, setOpen] = useState(false);
    const name = ready.value?.choice.name ?? (loading.value ? `Loading ${loading.value.choice.name}` : 'No model');
    return (_jsxs(_Fragment, { children: [_jsxs("button", { type: "button", class: "button button-quiet model-button", "aria-haspopup": "dialog", onClick: () => setOpen(true), children: [_jsx("span", { class: "visually-hidden", children: "Model: " }), _jsx("span", { class: "button-label", children: name }), _jsx(Icon, { name: "down" })] }), open && _jsx(ModelDialog, { onClose: () => setOpen(false) })] }));
}
