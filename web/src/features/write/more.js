import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
import { useState } from 'preact/hooks';
import { announce } from '../../state/announce';
import { stopSaving } from '../../state/autosave';
import { linkTo } from '../../state/place';
import { deleteEverything } from '../../state/storage';
import { activeVersion, commit, startOf, story, textOf } from '../../state/story';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { download } from '../../ui/download';
import { closePopover, Popover } from '../../ui/popover';
async function copy(text, said) {
    await navigator.clipboard.writeText(text);
    announce(said);
}
const firstWords = () => activeVersion.value.passages.find((passage) => passage.author === 'person')?.text ?? story.value.draft;
export function More() {
    const [asks, setAsks] = useState(false);
    const busy = writing.value !== null;
    const choose = (act) => (event) => {
        closePopover(event.currentTarget);
        void act();
    };
    return (_jsxs(_Fragment, { children: [_jsxs(Popover, { label: "More", icon: "more", iconOnly: true, class: "menu", children: [_jsx(Button, { icon: "page", kind: "quiet", disabled: busy, onClick: choose(() => commit(startOf(''))), children: "New story" }), _jsx(Button, { icon: "copy", kind: "quiet", onClick: choose(() => copy(textOf(activeVersion.value), 'The text is copied.')), children: "Copy the text" }), _jsx(Button, { icon: "save", kind: "quiet", onClick: choose(() => download('story.txt', textOf(activeVersion.value))), children: "Save the text as a file" }), _jsx(Button, { icon: "link", kind: "quiet", onClick: choose(() => copy(linkTo(firstWords()), 'The link is copied.')), children: "Copy a link to this beginning" }), _jsx(Button, { icon: "trash", kind: "quiet", onClick: choose(() => setAsks(true)), children: "Clear everything\u2026" })] }), asks && _jsx(ClearEverything, { onClose: () => setAsks(false) })] }));
}
async function clear() {
    stopSaving();
    await deleteEverything();
    location.reload();
}
const ClearEverything = ({ onClose }) => (_jsxs(Dialog, { title: "Clear everything?", onClose: onClose, children: [_jsx("p", { children: "Your text, all its versions, the settings, the downloaded models and the offline copy of this page are deleted from this browser. They were never anywhere else, so nothing brings them back." }), _jsxs("div", { class: "dialog-actions", children: [_jsx(Button, { onClick: onClose, children: "Keep it" }), _jsx(Button, { kind: "primary", icon: "trash", onClick: () => void clear(), children: "Clear everything" })] })] }));
