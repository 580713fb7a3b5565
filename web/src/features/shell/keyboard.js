// Keys that work everywhere on the page.
import { place } from '../../state/place';
import { canRedo, canUndo, redo, undo } from '../../state/story';
import { stop, write, writing } from '../../state/writing';
const isTyping = (target) => target instanceof HTMLElement && (target.matches('input, textarea, select') || target.isContentEditable);
const isOpen = () => document.querySelector('dialog[open], .popover:popover-open:not(.tooltip)') !== null;
function onKeyDown(event) {
    if (event.defaultPrevented || event.isComposing)
        return;
    const withCommand = event.ctrlKey || event.metaKey;
    if (event.key === 'Escape')
        stop();
    if (place.value !== 'write' || isOpen())
        return;
    const onNothing = event.target === document.body;
    if (event.key === 'Enter' && (withCommand || onNothing))
        act(event, () => void write());
    else if (event.key === '/' && !withCommand && !isTyping(event.target))
        act(event, focusDraft);
    else if (event.key.toLowerCase() === 'z' && withCommand && !isTyping(event.target) && !writing.value) {
        if (event.shiftKey ? canRedo.value : canUndo.value)
            act(event, event.shiftKey ? redo : undo);
    }
}
function act(event, what) {
    event.preventDefault();
    what();
}
const focusDraft = () => document.querySelector('#draft')?.focus();
/** Starts listening. */
export function listenToKeys() {
    addEventListener('keydown', onKeyDown);
}
