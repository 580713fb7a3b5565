import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { pointed } from '../../state/pointed';
import { canRedo, canUndo, isEmpty, redo, undo } from '../../state/story';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { ModelButton } from '../models/model_button';
import { More } from './more';
import { Sampling } from './sampling';
import { Versions } from './versions';
export function Write() {
    const busy = writing.value !== null;
    // A finger leaves whenever it is lifted; only a mouse that goes elsewhere is done with a passage.
    const leave = (event) => {
        if (event.pointerType === 'mouse')
            pointed.value = null;
    };
    return (_jsxs("section", { class: "write", "aria-labelledby": "write-heading", children: [_jsxs("header", { class: "write-bar", children: [_jsx("h1", { id: "write-heading", class: "visually-hidden", children: "Write" }), _jsx(ModelButton, {}), _jsxs("div", { class: "write-bar-end", children: [_jsx(Button, { icon: "undo", iconOnly: true, kind: "quiet", disabled: busy || !canUndo.value, onClick: undo, children: "Undo" }), _jsx(Button, { icon: "redo", iconOnly: true, kind: "quiet", disabled: busy || !canRedo.value, onClick: redo, children: "Redo" }), _jsx(Sampling, {}), _jsx(More, {})] })] }), _jsx("div", { class: `sheet ${isEmpty.value ? 'sheet-empty' : ''}`, id: "text", onPointerLeave: leave, children: _jsx(Versions, {}) })] }));
}
