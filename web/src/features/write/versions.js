import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
import { wide } from '../../state/screen';
import { activeVersion, commit, select, sharedLength, story, withoutVersion } from '../../state/story';
import { wordsOf, writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { plural } from '../../ui/format';
import { Composer } from './composer';
import { Paragraph } from './paragraph';
import { paragraphsOf } from './paragraphs';
const keyOf = (paragraph) => `${paragraph[0]?.passage.id}:${paragraph[0]?.text.slice(0, 12)}`;
function Paragraphs({ version, from, to, alone }) {
    return paragraphsOf(version.passages, from, to).map((fragments) => (_jsx(Paragraph, { version: version.id, fragments: fragments, alone: alone }, keyOf(fragments))));
}
/** The text: one column while there is one version; else the shared beginning, and the endings side by side. */
export function Versions() {
    const { versions } = story.value;
    const version = activeVersion.value;
    if (versions.length === 1) {
        return (_jsxs("article", { class: "column", "aria-label": "Your text", children: [_jsx(Paragraphs, { version: version, from: 0, to: version.passages.length, alone: true }), _jsx(Composer, {})] }));
    }
    const shared = sharedLength.value;
    const shown = wide.value ? versions : [version];
    return (_jsxs(_Fragment, { children: [_jsx("article", { class: "column column-shared", "aria-label": "The beginning that all versions share", children: _jsx(Paragraphs, { version: version, from: 0, to: shared, alone: true }) }), !wide.value && _jsx(Tabs, {}), _jsx("div", { class: "versions", children: shown.map((one) => (_jsx(Ending, { version: one, from: shared, number: versions.indexOf(one) + 1 }, one.id))) })] }));
}
function Ending({ version, from, number }) {
    const isActive = version.id === activeVersion.value.id;
    return (_jsxs("article", { class: `version ${isActive ? 'is-active' : ''}`, "aria-label": `Version ${number}`, children: [wide.value && (_jsxs("header", { class: "version-head", children: [_jsxs("h2", { children: ["Version ", number, " ", _jsx("span", { class: "figures soft", children: plural(wordsOf(version), 'word') })] }), _jsx(Remove, { version: version, number: number })] })), _jsx(Paragraphs, { version: version, from: from, to: version.passages.length, alone: false }), isActive ? (_jsx(Composer, {})) : (_jsxs(Button, { icon: "write", kind: "quiet", disabled: writing.value !== null, onClick: () => select(version.id), children: ["Write on in version ", number] }))] }));
}
/** Phones show one version at a time. */
function Tabs() {
    const { versions } = story.value;
    const active = activeVersion.value;
    return (_jsxs("div", { class: "tabs", children: [_jsx("ul", { class: "tabs-list", "aria-label": "Versions", children: versions.map((version, index) => (_jsx("li", { children: _jsxs("button", { type: "button", class: "tab", "aria-current": version === active ? 'true' : undefined, onClick: () => select(version.id), children: ["Version ", index + 1] }) }, version.id))) }), _jsx(Remove, { version: active, number: versions.indexOf(active) + 1 })] }));
}
const Remove = ({ version, number }) => (_jsxs(Button, { icon: "close", iconOnly: true, kind: "quiet", disabled: writing.value !== null, onClick: () => commit(withoutVersion(story.value, version.id)), children: ["Remove version ", number] }));
