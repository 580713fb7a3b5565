import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { amend, OPENING, story } from '../../state/story';
const OTHERS = [
    OPENING,
    'There was once a king who had three daughters, and the youngest',
    '“Mother,” said the little hare, “who lives in the moon?”',
    'One morning Tom found a small green door in the wall of the garden.',
];
/** First sentences for whoever has none at hand. */
export const Beginnings = () => (_jsxs("section", { class: "beginnings", "aria-labelledby": "beginnings-heading", children: [_jsx("h2", { id: "beginnings-heading", children: "Or begin with" }), _jsx("ul", { children: OTHERS.filter((sentence) => sentence !== story.value.draft).map((sentence) => (_jsx("li", { children: _jsx("button", { type: "button", class: "beginning", onClick: () => choose(sentence), children: sentence }) }, sentence))) }), _jsx("p", { class: "soft", children: "It is written in this page, by a small model on this device. Nothing you write is sent anywhere." })] }));
function choose(sentence) {
    amend({ draft: sentence });
    document.querySelector('#draft')?.focus();
}
