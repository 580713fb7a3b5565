import { jsx as _jsx, jsxs as _jsxs } from "preact/jsx-runtime";
import { useEffect, useState } from 'preact/hooks';
import { openFiles } from '../../state/engine';
import { report } from '../../state/problem';
import { Icon } from '../../ui/icon';
import { readDrop } from './dropped';
const carriesFiles = (event) => event.dataTransfer?.types.includes('Files') ?? false;
async function take(data) {
    try {
        const { name, files } = await readDrop(data);
        await openFiles(name, files);
    }
    catch (error) {
        report('What you dropped could not be read', error);
    }
}
/** Takes model files dropped anywhere on the page. */
export function DropZone() {
    const [over, setOver] = useState(false);
    useEffect(() => {
        const onOver = (event) => {
            if (!carriesFiles(event))
                return;
            event.preventDefault();
            setOver(true);
        };
        const onLeave = (event) => {
            if (event.relatedTarget === null)
                setOver(false);
        };
        const onDrop = (event) => {
            setOver(false);
            if (!carriesFiles(event) || !event.dataTransfer)
                return;
            event.preventDefault();
            void take(event.dataTransfer);
        };
        addEventListener('dragover', onOver);
        addEventListener('dragleave', onLeave);
        addEventListener('drop', onDrop);
        return () => {
            removeEventListener('dragover', onOver);
            removeEventListener('dragleave', onLeave);
            removeEventListener('drop', onDrop);
        };
    }, []);
    if (!over)
        return null;
    return (_jsx("div", { class: "drop-zone", children: _jsxs("p", { children: [_jsx(Icon, { name: "folder" }), " Drop a model folder or its files"] }) }));
}
