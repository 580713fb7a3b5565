import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
// Where the text ends and the next words begin: the person's line, and what the model is doing.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { loading, ready } from '../../state/engine';
import { touch } from '../../state/screen';
import { activeVersion, amend, isEmpty, story } from '../../state/story';
import { branchFrom, lastRun, startOfLastGo, stop, tryAgain, wanted, write, writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { bytes } from '../../ui/format';
import { ProgressBar } from '../../ui/progress_bar';
import { Beginnings } from './beginnings';
import { LastRun, Running } from './run_facts';
const LINE = 'line';
/** The end of the active version; the actions stay in reach wherever the reader is. */
export function Composer() {
    const isWriting = writing.value !== null;
    const actions = useRef(null);
    const field = useRef(null);
    // What had the focus goes away when the writing begins and when it ends: hand it on, not to the top of the page.
    useEffect(() => {
        if (touch.value || document.activeElement !== document.body)
            return;
        const next = isWriting ? actions.current?.querySelector('button') : field.current;
        next?.focus({ preventScroll: true });
    }, [isWriting]);
    if (isWriting) {
        return (_jsxs("div", { class: "actions", ref: actions, children: [_jsxs(Button, { icon: "stop", kind: "primary", onClick: stop, "aria-keyshortcuts": "Escape", children: ["Stop ", _jsx("kbd", { children: "Esc" })] }), _jsx(Running, {})] }));
    }
    return (_jsxs(_Fragment, { children: [lastRun.value && _jsx(LastRun, { run: lastRun.value }), _jsx(Line, { field: field }), _jsxs("div", { class: "actions", children: [_jsx(WriteButton, {}), _jsx(AgainAndBranch, {}), _jsx(Waiting, {})] }), isEmpty.value && _jsx(Beginnings, {})] }));
}
function Line({ field }) {
    const begins = activeVersion.value.passages.length === 0;
    const onSubmit = (event) => {
        event.preventDefault();
        void write();
    };
    return (_jsxs("form", { id: LINE, class: "line", onSubmit: onSubmit, children: [_jsx("label", { class: "visually-hidden", for: "draft", children: begins ? 'Beginning of your text' : 'Your next words' }), _jsx(GrowingField, { field: field, value: story.value.draft, placeholder: begins ? 'Begin a story, or let the model begin…' : 'Your next words, or just continue…' }), _jsx(Rule, {})] }));
}
/** A text field as high as its text. Enter writes; with Shift it begins a new line. */
function GrowingField({ field, value, placeholder }) {
    useLayoutEffect(() => {
        const element = field.current;
        if (!element || CSS.supports('field-sizing', 'content'))
            return;
        element.style.setProperty('height', 'auto');
        element.style.setProperty('height', `${element.scrollHeight}px`);
    }, [value]);
    const onKeyDown = (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing)
            return;
        event.preventDefault();
        void write();
    };
    return (_jsx("textarea", { ref: field, id: "draft", class: "draft", rows: 1, value: value, placeholder: placeholder, autocomplete: "off", enterkeyhint: "go", "aria-keyshortcuts": "Enter Control+Enter Meta+Enter /", onInput: (event) => amend({ draft: event.currentTarget.value }), onKeyDown: onKeyDown }));
}
/** The line under the words; while a model is loading, it fills. */
function Rule() {
    const now = loading.value;
    if (!now)
        return _jsx("div", { class: "rule" });
    const known = (now.progress?.total ?? 0) > 0;
    return _jsx(ProgressBar, { fraction: known ? (now.progress?.fraction ?? 0) : null, label: `Loading ${now.choice.name}` });
}
function WriteButton() {
    const continues = activeVersion.value.passages.length > 0 && story.value.draft.trim() === '';
    return (_jsxs(Button, { icon: continues ? 'onward' : 'write', kind: "primary", type: "submit", form: LINE, disabled: wanted.value, children: [continues ? 'Continue' : 'Write', " ", _jsx("kbd", { children: "\u21B5" })] }));
}
function AgainAndBranch() {
    const version = activeVersion.value;
    const start = startOfLastGo(version);
    if (start < 0 || !ready.value)
        return null;
    return (_jsxs(_Fragment, { children: [_jsx(Button, { icon: "again", onClick: () => void tryAgain(version, start), children: "Try again" }), _jsx(Button, { icon: "branch", onClick: () => void branchFrom(version, start), children: "Branch" })] }));
}
/** One line on what is being waited for. */
function Waiting() {
    const now = loading.value;
    if (!now)
        return ready.value ? null : _jsx("p", { class: "waiting soft", children: "No model is loaded. Choose one above, or drop one here." });
    const { progress } = now;
    const size = progress && progress.total > 0 ? `${bytes(progress.loaded)} of ${bytes(progress.total)}` : '';
    return (_jsxs("p", { class: "waiting figures", children: [_jsx("span", { children: wanted.value ? `Writes as soon as ${now.choice.name} is here` : `Loading ${now.choice.name}` }), size && _jsx("span", { class: "soft", children: size }), _jsx(Button, { kind: "quiet", onClick: now.cancel, children: "Cancel" })] }));
}
