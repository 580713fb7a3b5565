import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { announce } from '../../state/announce';
import { benchmark, benchmarkResult, runBenchmark } from '../../state/benchmark';
import { ready } from '../../state/engine';
import { writing } from '../../state/writing';
import { Button } from '../../ui/button';
import { architecture, artefact, bytes, milliseconds, plural, speed } from '../../ui/format';
import { ProgressBar } from '../../ui/progress_bar';
export function Benchmark() {
    const running = benchmark.value;
    const result = benchmarkResult.value;
    return (_jsxs("section", { "aria-labelledby": "benchmark-heading", children: [_jsx("h2", { id: "benchmark-heading", children: "How fast it is here" }), _jsx("p", { class: "soft", children: "Reads 512 tokens and writes 128 with the loaded model, three times after a warm-up, and takes the middle of each." }), running ? (_jsxs("div", { class: "device-running", children: [_jsx(ProgressBar, { fraction: running.fraction, label: "Measuring" }), _jsx(Button, { icon: "stop", onClick: running.cancel, children: "Cancel" })] })) : (_jsx(Button, { kind: "primary", disabled: !ready.value || writing.value !== null, onClick: () => void runBenchmark(), children: "Measure" })), result && _jsx(Result, { result: result })] }));
}
function Result({ result }) {
    const copy = async () => {
        await navigator.clipboard.writeText(JSON.stringify(result, null, 1));
        announce('The result is copied.');
    };
    return (_jsxs("div", { class: "result", children: [_jsxs("dl", { class: "result-figures figures", children: [_jsxs("div", { children: [_jsx("dt", { children: "Reading" }), _jsxs("dd", { children: [speed(result.prefillTokensPerS), " ", _jsx("span", { class: "soft", children: "tokens/s" })] })] }), _jsxs("div", { children: [_jsx("dt", { children: "Writing" }), _jsxs("dd", { children: [speed(result.decodeTokensPerS), " ", _jsx("span", { class: "soft", children: "tokens/s" })] })] }), _jsxs("div", { children: [_jsx("dt", { children: "First token" }), _jsx("dd", { children: milliseconds(result.firstTokenMs) })] }), _jsxs("div", { children: [_jsx("dt", { children: "Memory" }), _jsx("dd", { children: bytes(result.wasmBytes) })] })] }), _jsxs("p", { class: "soft figures", children: [result.model, ", ", architecture(result.architecture), ", ", result.quantisation, ", ", artefact(result.artefact), ",", ' ', plural(result.threads, 'thread')] }), _jsx(Button, { icon: "copy", onClick: () => void copy(), children: "Copy the result" })] }));
}
