import { jsx as _jsx } from "preact/jsx-runtime";
import { render } from 'preact';
import { followEnd } from './features/shell/follow_end';
import { listenToKeys } from './features/shell/keyboard';
import { Shell } from './features/shell/shell';
import { keepSaving, restoreStory } from './state/autosave';
import { readCatalog, startChoice } from './state/catalog';
import { open } from './state/engine';
import { prepareOffline } from './state/offline';
import { followAddress } from './state/place';
import { report } from './state/problem';
import { restoreSettings } from './state/settings';
import { readValue } from './state/storage';
import './styles/tokens.css';
import './styles/base.css';
import './styles/ui.css';
import './styles/shell.css';
import './styles/write.css';
import './styles/models.css';
import './styles/device.css';
async function loadFirstModel() {
    try {
        await readCatalog();
    }
    catch (error) {
        report('The list of models could not be read', error, { label: 'Try again', run: () => void loadFirstModel() });
        return;
    }
    const choice = startChoice(await readValue('model'));
    if (choice)
        await open(choice);
}
async function start() {
    void loadFirstModel();
    await Promise.all([restoreSettings(), restoreStory()]);
    followAddress();
    keepSaving();
    render(_jsx(Shell, {}), document.getElementById('app'));
    listenToKeys();
    followEnd();
    prepareOffline();
}
void start();
