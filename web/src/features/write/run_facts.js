import { jsxs as _jsxs, jsx as _jsx } from "preact/jsx-runtime";
import { sayEnding, speeds, writing } from '../../state/writing';
import { milliseconds, plural, speed } from '../../ui/format';
import { Sparkline } from '../../ui/sparkline';
/** Live, beside Stop. */
export function Running() {
    const now = writing.value;
    if (!now)
        return null;
    if (now.tokens === 0 && now.read < 1) {
        return _jsxs("p", { class: "facts figures", children: ["Reading what stands there, ", Math.round(now.read * 100), " %"] });
    }
    return (_jsxs("p", { class: "facts figures", children: [_jsx(Sparkline, { values: speeds.value }), now.tokensPerS > 0 && _jsxs("span", { children: [speed(now.tokensPerS), " tokens/s"] }), _jsx("span", { children: plural(now.tokens, 'token') })] }));
}
/** How the last stretch was written. */
export const LastRun = ({ run }) => (_jsxs("p", { class: "facts facts-last figures", children: [speeds.value.length > 1 && _jsx(Sparkline, { values: speeds.value }), run.tokensPerS > 0 && _jsxs("span", { children: [speed(run.tokensPerS), " tokens/s"] }), _jsxs("span", { children: ["first after ", milliseconds(run.firstTokenMs)] }), _jsx("span", { children: plural(run.tokens, 'token') }), _jsx("span", { children: sayEnding(run.ending) })] }));
