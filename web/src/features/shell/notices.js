import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { update, updateWaits } from '../../state/offline';
import { problem } from '../../state/problem';
import { Button } from '../../ui/button';
import { Icon } from '../../ui/icon';
/** What went wrong, and what is new. Both stay until they are answered. */
export const Notices = () => (_jsxs("div", { class: "notices", children: [_jsx("div", { role: "alert", children: problem.value && _jsx(ProblemNotice, { problem: problem.value }) }), updateWaits.value && _jsx(UpdateNotice, {})] }));
function ProblemNotice({ problem: { sentence, hint, details, action } }) {
    const dismiss = () => {
        problem.value = null;
    };
    const act = () => {
        dismiss();
        action?.run();
    };
    return (_jsxs("section", { class: "notice", children: [_jsx(Icon, { name: "warning" }), _jsxs("div", { class: "notice-body", children: [_jsx("p", { class: "notice-sentence", children: sentence }), hint && _jsx("p", { children: hint }), _jsxs("details", { children: [_jsx("summary", { children: "Details" }), _jsx("pre", { children: details })] }), action && _jsx(Button, { onClick: act, children: action.label })] }), _jsx(Button, { icon: "close", iconOnly: true, kind: "quiet", onClick: dismiss, children: "Dismiss" })] }));
}
function UpdateNotice() {
    const later = () => {
        updateWaits.value = false;
    };
    return (_jsxs("section", { class: "notice", "aria-label": "Update", children: [_jsx(Icon, { name: "save" }), _jsxs("div", { class: "notice-body", children: [_jsx("p", { class: "notice-sentence", children: "A new version of this page is ready. Your text stays." }), _jsxs("div", { class: "dialog-actions", children: [_jsx(Button, { onClick: later, children: "Later" }), _jsx(Button, { kind: "primary", onClick: () => void update(), children: "Reload now" })] })] })] }));
}
