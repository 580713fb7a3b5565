import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { memo } from 'preact/compat';
import { pointed } from '../../state/pointed';
import { margin } from '../../state/screen';
import { story } from '../../state/story';
import { writing } from '../../state/writing';
import { Icon } from '../../ui/icon';
import { Tools } from './tools';
const sameFragments = (before, after) => before.version === after.version &&
    before.alone === after.alone &&
    before.fragments.length === after.fragments.length &&
    before.fragments.every((one, at) => {
        const other = after.fragments[at];
        return other !== undefined && one.passage === other.passage && one.text === other.text && one.index === other.index;
    });
/** One paragraph, and below or beside it the tools of the passage that is pointed at. */
export const Paragraph = memo(function Paragraph({ version, fragments, alone }) {
    const at = pointed.value;
    const chosen = at?.version === version ? fragments.find(({ passage, ends }) => ends && passage.id === at.passage) : undefined;
    return (_jsxs("div", { class: "paragraph", children: [_jsx("p", { children: fragments.map((fragment) => (_jsx(Words, { version: version, fragment: fragment, alone: alone, isPointed: at?.passage === fragment.passage.id }, fragment.passage.id))) }), chosen && _jsx(Tools, { version: versionOf(version), index: chosen.index, passage: chosen.passage })] }));
}, sameFragments);
const versionOf = (id) => story.value.versions.find((version) => version.id === id);
function Words({ version, fragment, alone, isPointed, }) {
    const { passage, text, ends } = fragment;
    const point = () => {
        if (!writing.value)
            pointed.value = { version, passage: passage.id };
    };
    const onPointerEnter = () => alone && margin.value && point();
    return (_jsxs("span", { class: `words words-${passage.author} ${isPointed ? 'is-pointed' : ''}`, onPointerEnter: onPointerEnter, onClick: point, children: [text, ends && _jsx(Mark, { passage: fragment, isPointed: isPointed, onFocus: point })] }));
}
function Mark({ passage, isPointed, onFocus }) {
    const isModel = passage.passage.author === 'model';
    return (_jsx("button", { type: "button", class: "mark", "aria-expanded": isPointed, "aria-label": isModel ? 'Written by the model: what to do with it' : 'Written by you: what to do with it', onFocus: onFocus, onClick: onFocus, children: _jsx(Icon, { name: isModel ? 'pilcrow' : 'write' }) }));
}
