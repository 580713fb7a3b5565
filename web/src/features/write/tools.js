import { jsx as _jsx, Fragment as _Fragment, jsxs as _jsxs } from "preact/jsx-runtime";
import { pointed } from '../../state/pointed';
import { branchFrom, continueFrom, rewrite, tryAgain } from '../../state/writing';
import { Button } from '../../ui/button';
const done = () => {
    pointed.value = null;
};
/** What can be done from the memory before or after a passage. */
export function Tools({ version, index, passage }) {
    const onKeyDown = (event) => event.key === 'Escape' && done();
    return (_jsx("fieldset", { class: "tools", "aria-label": "This passage", onKeyDown: onKeyDown, children: passage.author === 'model' ? (_jsxs(_Fragment, { children: [_jsx(Button, { icon: "again", kind: "quiet", onClick: () => void tryAgain(version, index), children: "Try again" }), _jsx(Button, { icon: "branch", kind: "quiet", onClick: () => void branchFrom(version, index), children: "Branch from here" }), _jsx(Button, { icon: "onward", kind: "quiet", onClick: () => void continueFrom(version, index), children: "Continue from here" })] })) : (_jsx(Button, { icon: "write", kind: "quiet", onClick: () => rewrite(version, index), children: "Rewrite" })) }));
}
