import { jsx as _jsx, jsxs as _jsxs, Fragment as _Fragment } from "preact/jsx-runtime";
import { probed, storage } from '../../state/device';
import { memoryBytes, ready } from '../../state/engine';
import { artefact, bytes, plural } from '../../ui/format';
import { Icon } from '../../ui/icon';
function offersOf(probe) {
    return [
        {
            name: 'SIMD',
            is: probe.simd ? 'yes' : 'no',
            good: probe.simd,
            means: probe.simd
                ? 'Several numbers are worked on at once.'
                : 'The engine needs it and cannot run in this browser.',
        },
        {
            name: 'Relaxed SIMD',
            is: probe.relaxedSimd ? 'yes' : 'no',
            good: probe.relaxedSimd,
            means: probe.relaxedSimd
                ? 'The processor’s own dot products are used.'
                : 'This browser does not have it (or gets it wrong); plain SIMD is used, at about half the speed.',
        },
        { name: 'Threads', is: String(probe.threads), good: probe.threads > 1, means: threadsMean(probe) },
        {
            name: 'Isolated from other pages',
            is: probe.crossOriginIsolated ? 'yes' : 'no',
            good: probe.crossOriginIsolated,
            means: 'Browsers share memory between threads only in pages that are.',
        },
    ];
}
function threadsMean(probe) {
    if (probe.threads > 1)
        return 'Processor cores share the work.';
    if (!probe.crossOriginIsolated)
        return 'The server did not send the headers (COOP and COEP) that allow shared memory, so one core does the work.';
    return navigator.hardwareConcurrency > 1
        ? 'Shared memory does not work here, so one core does the work.'
        : 'This device has one core for the page.';
}
/** What the browser has, which build that led to, and what is in use of memory and storage. */
export function Offers() {
    const probe = probed.value;
    if (!probe)
        return _jsx("p", { class: "soft", children: "Looking\u2026" });
    return (_jsxs("section", { "aria-labelledby": "offers-heading", children: [_jsx("h2", { id: "offers-heading", children: "What this browser offers" }), _jsxs("p", { class: "device-verdict", children: [probe.artefact
                        ? `The ${artefact(ready.value?.model.runtime.artefact ?? probe.artefact)} build runs here. `
                        : 'The engine cannot run here. ', ready.value?.model.runtime.why ?? probe.why] }), _jsxs("dl", { class: "offers", children: [offersOf(probe).map((offer) => (_jsxs("div", { class: "offer", children: [_jsx("dt", { children: offer.name }), _jsxs("dd", { class: "offer-is figures", children: [_jsx(Icon, { name: offer.good ? 'check' : 'close' }), " ", offer.is] }), _jsx("dd", { class: "offer-means soft", children: offer.means })] }, offer.name))), _jsx(Room, { probe: probe, kept: storage.value })] })] }));
}
function Room({ probe, kept }) {
    const model = ready.value?.model;
    return (_jsxs(_Fragment, { children: [_jsxs("div", { class: "offer", children: [_jsx("dt", { children: "Memory" }), _jsx("dd", { class: "offer-is figures", children: memoryBytes.value > 0 ? bytes(memoryBytes.value) : '–' }), _jsxs("dd", { class: "offer-means soft", children: [probe.memoryBytes > 0
                                ? `In use by the engine; the device has at least ${bytes(probe.memoryBytes)}. `
                                : 'In use by the engine; the browser does not say what the device has. ', model && `A text takes ${bytes(model.info.stateBytes)}, however long it is.`] })] }), _jsxs("div", { class: "offer", children: [_jsx("dt", { children: "Storage" }), _jsx("dd", { class: "offer-is figures", children: kept ? bytes(kept.usedBytes) : '–' }), _jsx("dd", { class: "offer-means soft", children: kept
                            ? `In use for models, your text and this page, of ${bytes(kept.quotaBytes)}. ${kept.persisted ? 'The browser has promised to keep it.' : 'The browser may delete it when the device runs out of space.'}`
                            : 'The browser does not say.' })] }), _jsxs("div", { class: "offer", children: [_jsx("dt", { children: "Cores" }), _jsx("dd", { class: "offer-is figures", children: plural(navigator.hardwareConcurrency, 'core').replace(/ cores?$/, '') }), _jsx("dd", { class: "offer-means soft", children: "That the browser shows to pages." })] })] }));
}
