import { jsx as _jsx } from "preact/jsx-runtime";
import { useLayoutEffect, useRef } from 'preact/hooks';
/** A thin line that fills; `fraction` null: something is going on, nobody knows how long. */
export function ProgressBar({ fraction, label }) {
    const fill = useRef(null);
    useLayoutEffect(() => {
        fill.current?.style.setProperty('transform', `scaleX(${fraction ?? 0})`);
    }, [fraction]);
    const value = fraction === null ? {} : { 'aria-valuenow': Math.round(fraction * 100) };
    return (_jsx("div", { class: `progress ${fraction === null ? 'progress-unknown' : ''}`, role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, ...value, children: _jsx("div", { ref: fill, class: "progress-fill" }) }));
}
