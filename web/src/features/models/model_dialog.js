import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { useRef } from 'preact/hooks';
import { choices } from '../../state/catalog';
import { open, openFiles, ready } from '../../state/engine';
import { Button } from '../../ui/button';
import { Dialog } from '../../ui/dialog';
import { architecture, bytes, parameters } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { folderName } from './dropped';
export function ModelDialog({ onClose }) {
    const choose = (choice) => {
        onClose();
        if (ready.value?.choice !== choice)
            void open(choice);
    };
    return (_jsxs(Dialog, { title: "Models", onClose: onClose, children: [_jsx("ul", { class: "cards", children: choices.value.map((choice) => (_jsx("li", { children: _jsx(Card, { choice: choice, isPresent: ready.value?.choice === choice, onChoose: () => choose(choice) }) }, choice.key))) }), _jsx(OwnFiles, { onDone: onClose })] }));
}
const factsOf = (card) => [
    card.architecture && architecture(card.architecture),
    card.parameters && `${parameters(card.parameters)} parameters`,
    card.bytes && bytes(card.bytes),
    card.languages?.join(', '),
    card.licence,
].filter((fact) => typeof fact === 'string' && fact !== '');
const summaryOf = ({ summary }) => typeof summary === 'string' ? summary : [summary?.good, summary?.bad].filter(Boolean).join(' ');
function Card({ choice, isPresent, onChoose }) {
    return (_jsxs("button", { type: "button", class: "card", "aria-pressed": isPresent, onClick: onChoose, children: [_jsxs("span", { class: "card-name", children: [choice.name, isPresent && (_jsxs("span", { class: "card-present", children: [_jsx(Icon, { name: "check" }), " in use"] }))] }), _jsx("span", { class: "card-summary", children: choice.opened ? 'From files on this device, for this visit.' : summaryOf(choice.card) }), _jsx("span", { class: "card-facts figures soft", children: factsOf(choice.card).join(' · ') })] }));
}
/** The keyboard's way to what dropping does. */
function OwnFiles({ onDone }) {
    const folder = useRef(null);
    const files = useRef(null);
    const asFolder = (element) => {
        folder.current = element;
        if (element)
            element.webkitdirectory = true;
    };
    const take = (event) => {
        const chosen = [...(event.currentTarget.files ?? [])];
        if (chosen.length === 0)
            return;
        onDone();
        void openFiles(folderName(chosen), chosen);
    };
    return (_jsxs("div", { class: "own-files", children: [_jsx("p", { class: "soft", children: "Or a model of your own: drop its folder anywhere on the page, or open it here. RWKV-7 and Mamba-1 in the Hugging Face layout work. The files stay on this device." }), _jsxs("div", { class: "dialog-actions", children: [_jsx(Button, { icon: "folder", onClick: () => folder.current?.click(), children: "Open a folder" }), _jsx(Button, { icon: "files", onClick: () => files.current?.click(), children: "Open files" }), _jsx("input", { ref: asFolder, type: "file", hidden: true, "aria-label": "Model folder", onChange: take }), _jsx("input", { ref: files, type: "file", hidden: true, multiple: true, "aria-label": "Model files", onChange: take })] })] }));
}
