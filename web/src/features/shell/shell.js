import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { announcement } from '../../state/announce';
import { place } from '../../state/place';
import { Device } from '../device/device';
import { DropZone } from '../models/drop_zone';
import { Write } from '../write/write';
import { Notices } from './notices';
import { Rail } from './rail';
import { StatusLine } from './status_line';
export const Shell = () => (_jsxs("div", { class: "shell", children: [_jsx("a", { class: "skip visually-hidden", href: "#main", children: "Skip to the text" }), _jsx(Rail, {}), _jsxs("main", { class: "main", id: "main", tabIndex: -1, children: [_jsx(Notices, {}), place.value === 'write' ? _jsx(Write, {}) : _jsx(Device, {})] }), _jsx(StatusLine, {}), _jsx(DropZone, {}), _jsx(LiveRegion, {})] }));
/** Speaks sentences as they become whole, and how the writing ended. */
const LiveRegion = () => (_jsx("div", { class: "visually-hidden", role: "status", "aria-live": "polite", children: announcement.value }));
