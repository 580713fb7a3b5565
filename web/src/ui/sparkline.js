import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
/** A line of recent values from zero up; what it says is also written beside it, so it is silent for screen readers. */
export function Sparkline({ values }) {
    const width = 96;
    const height = 20;
    const top = Math.max(...values, 1) * 1.15;
    const step = width / Math.max(24, values.length - 1);
    const points = values.map((value, index) => `${(index * step).toFixed(1)},${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`);
    return (_jsxs("svg", { class: "sparkline", viewBox: `0 0 ${width} ${height}`, width: width, height: height, "aria-hidden": "true", focusable: "false", children: [_jsx("line", { x1: "0", y1: height - 0.5, x2: width, y2: height - 0.5 }), points.length > 1 && _jsx("polyline", { points: points.join(' ') })] }));
}
