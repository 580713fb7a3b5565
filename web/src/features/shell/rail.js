import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { addressOf, place } from '../../state/place';
import { Icon, Sign } from '../../ui/icon';
const PLACES = [
    { to: 'write', name: 'Write', icon: 'write' },
    { to: 'device', name: 'This device', icon: 'device' },
];
/** The places of the page: at the left on wide screens, at the bottom on phones. */
export const Rail = () => (_jsxs("nav", { class: "rail", "aria-label": "Places", children: [_jsxs("span", { class: "rail-sign", children: [_jsx(Sign, {}), _jsx("span", { class: "visually-hidden", children: "Sutra" })] }), _jsx("ul", { children: PLACES.map(({ to, name, icon }) => (_jsx("li", { children: _jsxs("a", { class: "rail-place", href: addressOf(to), "aria-current": place.value === to ? 'page' : undefined, children: [_jsx(Icon, { name: icon }), _jsx("span", { children: name })] }) }, to))) })] }));
