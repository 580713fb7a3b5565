import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
// The page's own icons: 20 × 20, one stroke of 1.5, drawn in the colour of the text around them.
const PATHS = {
    write: 'M4 16l.8-3.6L13.6 3.6a1.7 1.7 0 0 1 2.4 2.4L7.2 14.8 4 16zM12 5.2l2.4 2.4M10.5 16.5H16',
    device: 'M6 6h8v8H6zM8.5 6V3M11.5 6V3M8.5 17v-3M11.5 17v-3M6 8.5H3M6 11.5H3M17 8.5h-3M17 11.5h-3',
    down: 'M6 8l4 4 4-4',
    sliders: 'M3 6h6M13 6h4M11 4v4M3 14h3M10 14h7M8 12v4',
    undo: 'M7.5 4L4 7.5 7.5 11M4 7.5h7.5a4.5 4.5 0 0 1 0 9H9',
    redo: 'M12.5 4L16 7.5 12.5 11M16 7.5H8.5a4.5 4.5 0 0 0 0 9H11',
    more: 'M4 10a.6.6 0 1 0 1.2 0a.6.6 0 1 0-1.2 0M9.4 10a.6.6 0 1 0 1.2 0a.6.6 0 1 0-1.2 0M14.8 10a.6.6 0 1 0 1.2 0a.6.6 0 1 0-1.2 0',
    stop: 'M6 6h8v8H6z',
    onward: 'M4 10h12M11.5 5.5L16 10l-4.5 4.5',
    again: 'M15.8 8.5A6 6 0 1 0 16 11.5M16 4.5v4h-4',
    branch: 'M6 3.5v13M6 12c0-3.5 8-2 8-6.5M11.5 7.5L14 5l2.5 2.5',
    close: 'M5.5 5.5l9 9M14.5 5.5l-9 9',
    check: 'M4.5 10.5l3.5 3.5 7.5-8',
    warning: 'M10 3.5L17.5 16.5h-15L10 3.5zM10 8.5v3.5M10 14.3h.01',
    folder: 'M3 5.5h5l1.5 2H17v8H3z',
    files: 'M6 3.5h5.5L15 7v9.5H6zM11.5 3.5V7H15',
    copy: 'M7 7h9v9H7zM4 13V4h9',
    link: 'M8.5 11.5l3-3M9.5 6.5l1.5-1.5a2.8 2.8 0 0 1 4 4L13.5 10.5M10.5 13.5L9 15a2.8 2.8 0 0 1-4-4l1.5-1.5',
    trash: 'M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5',
    page: 'M5.5 3.5h9v13h-9zM10 7.5v5M7.5 10h5',
    save: 'M10 3.5v9M6.5 9L10 12.5 13.5 9M4 16.5h12',
    pilcrow: 'M11 4v12M14 4v12M15.5 4H9a3.2 3.2 0 0 0 0 6.4h2',
};
export const Icon = ({ name }) => (_jsx("svg", { class: "icon", viewBox: "0 0 20 20", width: "20", height: "20", "aria-hidden": "true", focusable: "false", children: _jsx("path", { d: PATHS[name] }) }));
/** The page's sign: a thread that runs through two beads. */
export const Sign = () => (_jsxs("svg", { class: "sign", viewBox: "0 0 32 32", width: "32", height: "32", "aria-hidden": "true", focusable: "false", children: [_jsx("path", { d: "M25 8.5C22.5 4.5 10 4.5 10 11c0 7 13 4.5 13 11.5 0 6-12 6-15.5 1.5" }), _jsx("circle", { cx: "25", cy: "8.5", r: "2.6" }), _jsx("circle", { cx: "7.5", cy: "24", r: "2.6" })] }));
