import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { ready } from '../../state/engine';
import { checking, checks, runChecks } from '../../state/selftest';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { Icon } from '../../ui/icon';
const SAYS = {
    waiting: 'not checked yet',
    running: 'being checked',
    kept: 'kept',
    broken: 'broken',
};
export const SelfTest = () => (_jsxs("section", { "aria-labelledby": "self-test-heading", children: [_jsx("h2", { id: "self-test-heading", children: "Whether it keeps its promises here" }), _jsx("p", { class: "soft", children: "The engine compared its arithmetic with the plain reference when it started. This checks the loaded model as well." }), _jsx("ul", { class: "checks", children: checks.value.map((check) => (_jsxs("li", { class: `check check-${check.state}`, children: [_jsxs("span", { class: "check-sign", children: [check.state === 'kept' && _jsx(Icon, { name: "check" }), check.state === 'broken' && _jsx(Icon, { name: "warning" })] }), _jsxs("span", { children: [check.promise, ": ", _jsx("span", { class: "soft", children: SAYS[check.state] }), check.details && _jsx("span", { class: "check-details", children: check.details })] })] }, check.promise))) }), _jsx(Button, { disabled: !ready.value || checking.value || writing.value !== null, onClick: () => void runChecks(), children: "Check" })] }));
