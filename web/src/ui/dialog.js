import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { useEffect, useId, useRef } from 'preact/hooks';
import { Button } from './button';
export function Dialog({ title, onClose, children, }) {
    const id = useId();
    const dialog = useRef(null);
    useEffect(() => {
        const element = dialog.current;
        element?.showModal();
        return () => element?.close();
    }, []);
    const onBackdrop = (event) => event.target === dialog.current && onClose();
    return (_jsx("dialog", { ref: dialog, class: "dialog", "aria-labelledby": id, onClose: onClose, onClick: onBackdrop, children: _jsxs("div", { class: "dialog-body", children: [_jsxs("header", { class: "dialog-head", children: [_jsx("h2", { id: id, children: title }), _jsx(Button, { icon: "close", iconOnly: true, kind: "quiet", onClick: onClose, children: "Close" })] }), children] }) }));
}
