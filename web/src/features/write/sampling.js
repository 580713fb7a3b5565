import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
// How the model writes, in plain words; folded away until somebody wants it.
import { change, DEFAULTS, LIMITS, MAX_SEED, settings } from '../../state/settings';
import { lastRun } from '../../state/writing';
import { Button } from '../../ui/button';
import { Popover } from '../../ui/popover';
function Slider({ name, label, term, says }) {
    const value = settings.value[name];
    const id = `setting-${name}`;
    return (_jsxs("div", { class: "setting", children: [_jsxs("label", { for: id, children: [label, " ", _jsx("span", { class: "soft", children: term })] }), _jsx("output", { for: id, class: "figures", children: name === 'maxTokens' ? value : value.toFixed(2) }), _jsx("input", { id: id, type: "range", ...LIMITS[name], value: value, "aria-describedby": `${id}-says`, onInput: (event) => change({ [name]: event.currentTarget.valueAsNumber }) }), _jsx("p", { id: `${id}-says`, class: "soft", children: says(value) })] }));
}
const saysTemperature = (value) => {
    if (value === 0)
        return 'Always the likeliest word: the same text every time.';
    if (value < 0.6)
        return 'Careful. Little surprises, and some repetition.';
    if (value <= 1)
        return 'Lively, and mostly in order.';
    return 'Wild. Surprising words, and often nonsense.';
};
const saysTopP = (value) => value === 1
    ? 'Every word has a chance.'
    : `Chooses among the likeliest words that make up ${Math.round(value * 100)} %.`;
const saysPenalty = (value) => value === 1 ? 'Words may come again as they like.' : 'Words that were there become less likely.';
const saysLength = (value) => `About ${Math.round((value * 0.75) / 10) * 10} words at a time.`;
export function Sampling() {
    return (_jsxs(Popover, { label: "How it writes", icon: "sliders", class: "sampling", children: [_jsx(Slider, { name: "temperature", label: "Boldness", term: "temperature", says: saysTemperature }), _jsx(Slider, { name: "topP", label: "Choice of words", term: "top-p", says: saysTopP }), _jsx(Slider, { name: "repetitionPenalty", label: "Variety", term: "repetition penalty", says: saysPenalty }), _jsx(Slider, { name: "maxTokens", label: "Length", term: "most tokens", says: saysLength }), _jsx(Seed, {}), _jsx(Button, { kind: "quiet", icon: "undo", onClick: () => change(DEFAULTS), children: "Back to the defaults" })] }));
}
/** The dice: leave them to chance, or throw the same again. */
function Seed() {
    const last = lastRun.value?.seed;
    return (_jsxs("div", { class: "setting", children: [_jsxs("label", { for: "setting-seed", children: ["Seed ", _jsx("span", { class: "soft", children: "the dice" })] }), _jsx("input", { id: "setting-seed", class: "number figures", type: "number", min: 0, max: MAX_SEED, step: 1, placeholder: "new every time", value: settings.value.seed ?? '', "aria-describedby": "setting-seed-says", onInput: (event) => change({ seed: event.currentTarget.value === '' ? null : event.currentTarget.valueAsNumber }) }), _jsx("p", { id: "setting-seed-says", class: "soft", children: "The same number, words and settings write the same text." }), last !== undefined && last !== settings.value.seed && (_jsxs(Button, { kind: "quiet", onClick: () => change({ seed: last }), children: ["Use that of the last text, ", last] }))] }));
}
