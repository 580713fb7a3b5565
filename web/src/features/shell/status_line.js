import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
import { loading, memoryBytes, ready } from '../../state/engine';
import { offline } from '../../state/offline';
import { lastSpeed, writing } from '../../state/writing';
import { architecture, artefact, bytes, plural, speed } from '../../ui/format';
import { Hint } from '../../ui/hint';
export function StatusLine() {
    const now = ready.value;
    return (_jsxs("footer", { class: "status figures", children: [now ? (_jsx(Facts, { name: now.choice.name, model: now.model })) : (_jsx("p", { class: "status-part", children: loading.value ? 'Loading…' : 'No model' })), _jsx("span", { class: "status-group status-end", children: _jsx(OfflinePart, {}) })] }));
}
function Facts({ name, model }) {
    const { info, runtime } = model;
    const perS = writing.value?.tokensPerS || lastSpeed.value;
    return (_jsxs(_Fragment, { children: [_jsxs("span", { class: "status-group", children: [_jsx(Hint, { class: "status-part", explains: `The model in use. It was loaded once and runs inside this page; it has ${plural(info.parameters, 'parameter')}.`, children: name }), _jsx(Hint, { class: "status-part status-spare", explains: "The kind of model: a recurrent network, whose memory keeps the same small size however long the text becomes.", children: architecture(info.architecture) }), _jsx(Hint, { class: "status-part status-spare", explains: "How exactly its numbers are stored. Fewer bits make a model smaller and quicker, and a little less exact.", children: info.quantisation.split(',')[0] }), _jsx(Hint, { class: "status-part status-spare", explains: "Size of the model in memory.", children: bytes(info.bytes) })] }), _jsxs("span", { class: "status-group status-spare", children: [_jsx(Hint, { class: "status-part", explains: runtime.threads > 1
                            ? 'Processor threads that share the work.'
                            : 'One processor thread does the work. “This device” says why there are no more.', children: plural(runtime.threads, 'thread') }), _jsx(Hint, { class: "status-part", explains: runtime.why, children: artefact(runtime.artefact) })] }), _jsxs("span", { class: "status-group", children: [perS > 0 && (_jsxs(Hint, { class: "status-part", explains: "Speed of the latest writing. A token is a word or a part of one. The speed is the same at the first token and at the ten-thousandth.", children: [speed(perS), " tok/s"] })), memoryBytes.value > 0 && (_jsx(Hint, { class: "status-part status-spare", explains: `Memory of the whole engine. A text takes ${bytes(info.stateBytes)} of it, however long it is.`, children: bytes(memoryBytes.value) }))] })] }));
}
const OFFLINE = {
    waiting: {
        says: 'nothing is sent',
        explains: 'What you write stays in this page. The copy that works without a network is being prepared.',
    },
    ready: {
        says: 'offline-ready',
        explains: 'The page and the model are kept in this browser: it works without a network. What you write is never sent anywhere.',
    },
    'page only': {
        says: 'offline-ready',
        explains: 'The page is kept in this browser and works without a network. The model came from your files: open them again next time.',
    },
    none: {
        says: 'nothing is sent',
        explains: 'What you write stays in this page. This browser keeps no copy of the page for times without a network.',
    },
};
function OfflinePart() {
    const { says, explains } = OFFLINE[offline.value];
    return (_jsx(Hint, { class: "status-part", explains: explains, children: says }));
}
