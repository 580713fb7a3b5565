import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { useEffect } from 'preact/hooks';
import { lookAtDevice } from '../../state/device';
import { report } from '../../state/problem';
import { Benchmark } from './benchmark';
import { Offers } from './offers';
import { SelfTest } from './self_test';
export function Device() {
    useEffect(() => {
        lookAtDevice().catch((error) => report('This browser could not be examined', error));
    }, []);
    return (_jsxs("div", { class: "device", children: [_jsx("h1", { children: "This device" }), _jsx(Offers, {}), _jsx(Benchmark, {}), _jsx(SelfTest, {})] }));
}
